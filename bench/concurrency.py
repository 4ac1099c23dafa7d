"""Jobs at once in one worker: 15 slots, jobs that wait 0.1, 1 and 5 seconds, on both drivers.

    python bench/concurrency.py [--rounds 3] [--nameless] [--broker amqp://...]

A real supervisor runs jobs that only sleep (``examples.pause``), as ``async def`` on the worker's
loop and as a plain ``def`` in threads; the ideal is slots divided by seconds. Beside it stands a
bare loop of as many tasks that sleep as long and do nothing else, in the same run on the same
machine.
The best of the rounds counts: whatever else the machine does can only cost.
"""

import argparse
import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from throughput import ROOT, broker, wait_for

from consumers.broker.embedded import EmbeddedBroker
from consumers.broker.port import Message, Session
from consumers.broker.rabbitmq import RabbitBroker
from consumers.clock import SystemClock
from consumers.jobs import Properties
from consumers.topology import pool_queues
from supervisor.client import Client
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger

QUEUE = "bench_concurrency"
SLOTS = 15
WAVES = {0.1: 100, 1.0: 8, 5.0: 4}  # how many jobs each slot does, by their seconds
LEAST = {0.1: 145.0, 1.0: 14.5, 5.0: 2.9}  # jobs a second
KINDS = {"async def": "handle", "def": "in_a_thread"}

CONFIGURATION = """\
broker: {broker}
state: {folder}/state
ledger: sqlite:///{folder}/ledger.db
media: {{root: {folder}/media}}
workers:
  sleeper: {{queue: {queue}, processor: "examples.pause:{kind}", concurrency: {slots}, memory: 1GB}}
logs: {{level: warning}}
"""


@dataclass(frozen=True)
class Waves:
    """What is measured: how long a job lasts, how many each slot does, whether they have ids."""

    seconds: float
    each: int
    has_ids: bool


def main() -> int:
    """Run the benchmark, print its table, and return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", type=float, help="the seconds of one length of job")
    parser.add_argument("--nameless", action="store_true", help="publish without message ids")
    parser.add_argument("--broker", help="an AMQP URL; default: a private broker is started")
    chosen = parser.parse_args()
    is_missed = False
    print(f"{'one worker, ' + str(SLOTS) + ' slots':<30}{'ideal':>8}{'bar':>8}{'jobs/s':>9}")
    with broker(chosen.broker) as url:
        for seconds in [chosen.only] if chosen.only else WAVES:
            waves = Waves(seconds, WAVES[seconds], has_ids=not chosen.nameless)
            for name, rate in rows(waves, url, chosen.rounds):
                is_kept = rate >= LEAST[seconds]
                is_missed |= not is_kept
                figures = f"{SLOTS / seconds:>8.1f}{LEAST[seconds]:>8.1f}{rate:>9.2f}"
                print(f"{name:<30}{figures}{'' if is_kept else '  missed'}", flush=True)
    return int(is_missed)


def rows(waves: Waves, url: str | None, rounds: int) -> Iterator[tuple[str, float]]:
    """Yield the best rate of each kind of job on each driver, the bare loop first."""
    seconds = f"{waves.seconds:g} s"
    yield f"{seconds}, bare loop", asyncio.run(bare(waves))
    for driver, address in (("embedded", "embedded"), ("RabbitMQ", url)):
        for words, kind in KINDS.items() if address else ():
            name = f"{seconds}, {driver}, {words}"
            yield name, max(measure(str(address), kind, waves) for _ in range(rounds))


async def bare(waves: Waves) -> float:
    """Return how often tasks get round that only sleep."""

    async def sleeper() -> None:
        for _ in range(waves.each):
            await asyncio.sleep(waves.seconds)

    start = time.monotonic()
    await asyncio.gather(*(sleeper() for _ in range(SLOTS)))
    return SLOTS * waves.each / (time.monotonic() - start)


def measure(address: str, kind: str, waves: Waves) -> float:
    """Return jobs a second over a full queue, once each slot has done its first."""
    jobs = SLOTS * waves.each
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(fill(folder, address, waves))
        file = folder / "bench.yaml"
        file.write_text(
            CONFIGURATION.format(broker=address, folder=folder, queue=QUEUE, kind=kind, slots=SLOTS)
        )
        process = subprocess.Popen([sys.executable, "-m", "supervisor", "-c", file], cwd=ROOT)
        try:
            with Client(folder / "state" / "supervisor.sock") as client:
                wait_for(client, jobs)
        finally:
            process.terminate()
            process.wait()
        with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as database:
            query = "SELECT finished_at / 1e6 FROM jobs ORDER BY 1"
            ends = [float(row[0]) for row in database.execute(query)]
    if len(ends) != jobs:
        sys.exit(f"{len(ends)} jobs are in the ledger, {jobs} were published")
    return (jobs - SLOTS) / (ends[-1] - ends[SLOTS - 1])


async def fill(folder: Path, address: str, waves: Waves) -> None:
    """Put the jobs into the queue."""
    if address != "embedded":
        session: Session = await RabbitBroker(address).connect()
        await publish(session, waves)
        await session.close()
        return
    ledger = await Ledger.open(f"sqlite:///{folder}/ledger.db", clock=SystemClock())
    queues = await Queues.open(ledger)
    session = await EmbeddedBroker(queues.local("bench")).connect()
    await publish(session, waves)
    await session.close()
    await queues.close()
    await ledger.close()


async def publish(session: Session, waves: Waves) -> None:
    """Publish jobs, each confirmed."""
    await session.declare(pool_queues(QUEUE))
    await session.purge(QUEUE)
    body = json.dumps({"seconds": waves.seconds, "noreply": True}).encode()
    ids = (f"{uuid.uuid4()}" if waves.has_ids else None for _ in range(SLOTS * waves.each))
    letters = (Message(body, Properties(message_id=each)) for each in ids)
    await asyncio.gather(*(session.publish(QUEUE, letter) for letter in letters))


if __name__ == "__main__":
    sys.exit(main())
