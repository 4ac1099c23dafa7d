"""Something that hammers a ledger and its queues, and is killed in the middle of it, many times.

``python -m tests.support.hammer URL KILLS SEED``: each life is a fork of one process that has
everything imported, opens the ledger, works until it is killed, and reports what was confirmed.
Printed at the end, as JSON: everything that any life reported, by kind.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import sys
from collections import defaultdict
from collections.abc import Callable

from consumers import logs
from consumers.broker.embedded import EmbeddedBroker, EmbeddedSession
from consumers.broker.port import Delivery, Message
from consumers.clock import SystemClock
from consumers.jobs import Properties
from consumers.topology import pool_queues
from supervisor.core.records import JobState
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from tests.support.ledgers import enter, new_job

POOL = pool_queues("clips")
MOST = 40  # reports before a life ends

PUBLISHED = "published"  # a message, confirmed
DELIVERED = "delivered"
ACKING = "acking"  # said before an ack is asked for
ACKED = "acked"  # and after it was confirmed
CREATED = "created"  # a job, entered into the ledger
FORGOTTEN = "forgotten"  # delivered again without being marked as redelivered

Report = Callable[[str, str], None]


async def work(url: str, life: int, report: Report) -> None:
    """Publish, take, ack and write, all at once and without end."""
    ledger = await Ledger.open(url, clock=SystemClock())
    queues = await Queues.open(ledger)
    publishing = await EmbeddedBroker(queues.local("publisher")).connect()
    consuming = await EmbeddedBroker(queues.local("consumer")).connect()
    await publishing.declare(POOL)
    names = (f"{life}-{number}" for number in itertools.count())

    async def publish() -> None:
        for name in names:
            await publishing.publish(POOL.public, Message(name.encode(), Properties()))
            report(PUBLISHED, name)

    async def create() -> None:
        for name in names:
            await enter(ledger, new_job(name), state=JobState.WAITING)
            report(CREATED, name)

    await asyncio.gather(publish(), publish(), create(), consume(consuming, report))


async def consume(session: EmbeddedSession, report: Report) -> None:
    """Take what comes and ack two of three; the third stays in hand until the end."""
    came: asyncio.Queue[Delivery] = asyncio.Queue()
    await session.consume(POOL.public, prefetch=8, receive=came.put_nowait)
    for number in itertools.count():
        delivery = await came.get()
        name = delivery.message.body.decode()
        report(DELIVERED, f"{name} {int(delivery.redelivered)}")
        if number % 9 < 6:
            report(ACKING, name)
            await session.ack(delivery)
            report(ACKED, name)


def live(url: str, life: int, enough: int) -> list[str]:
    """Let one life work until it has reported enough, kill it, and return all it reported."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)

        def report(kind: str, name: str) -> None:
            os.write(writing, f"{kind} {name}\n".encode())  # short: whole or not at all

        try:
            logs.configure("warning")
            asyncio.run(work(url, life, report))
        finally:
            os._exit(1)  # it works until it is killed; whatever comes here was an error
    os.close(writing)
    with os.fdopen(reading) as reports:
        said = list(itertools.islice(reports, enough))
        os.kill(child, signal.SIGKILL)
        said += reports
    os.waitpid(child, 0)
    return said


def main(url: str, kills: int, seed: int) -> None:
    """Be killed so many times."""
    chance = random.Random(seed)  # noqa: S311 - when to kill is no secret
    found: dict[str, list[str]] = defaultdict(list)
    known: set[str] = set()  # delivered in an earlier life
    for life in range(kills):
        now: set[str] = set()
        for line in live(url, life, chance.randrange(1, MOST)):
            kind, _, name = line.strip().partition(" ")
            if kind == DELIVERED:
                name, _, is_marked = name.partition(" ")
                if name in known and is_marked == "0":
                    found[FORGOTTEN].append(name)
                now.add(name)
            found[kind].append(name)
        known |= now
    print(json.dumps(found))  # noqa: T201 - it is what this program is for


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
