"""Jobs per second, from queue to ledger: both drivers beside a bare aio-pika consumer.

    python bench/throughput.py [--jobs 2000] [--broker amqp://...]

A real supervisor runs no-op jobs (``examples.noop``) whose results are recorded; the bare
consumer only acks. The RabbitMQ rows need a broker: the one named, else a private one that is
started for the run. Everything happens in one run on one machine, so the ratios are what counts.
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
from collections.abc import Iterator
from pathlib import Path

import aio_pika

from consumers.broker.embedded import EmbeddedBroker
from consumers.broker.port import Message, Session
from consumers.broker.rabbitmq import RabbitBroker
from consumers.clock import SystemClock
from consumers.jobs import Properties
from consumers.topology import pool_queues
from supervisor.client import Client, NoSupervisorError
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger

ROOT = Path(__file__).parent.parent
QUEUE = "bench_noop"
BODY = json.dumps({"n": 1, "noreply": True}).encode()
PATIENCE = 120.0  # seconds
BATCH = 500  # publishes under way at once
STAMPS_PER_SECOND = 1_000_000

CONFIGURATION = """\
broker: {broker}
state: {folder}/state
ledger: sqlite:///{folder}/ledger.db
media: {{root: {folder}/media}}
workers:
  noop: {{queue: {queue}, processor: "examples.noop:handle", instances: {instances},
          concurrency: {slots}, memory: 1GB}}
logs: {{level: warning}}
"""


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--instances", type=int, default=2)
    parser.add_argument("--slots", type=int, default=15)
    parser.add_argument("--broker", help="an AMQP URL; default: a private broker is started")
    chosen = parser.parse_args()
    rows = [("embedded", embedded(chosen))]
    with broker(chosen.broker) as url:
        if url:
            rows.append(("RabbitMQ", on_rabbitmq(url, chosen)))
            rows.append(("bare aio-pika, ack only", asyncio.run(bare(url, chosen))))
    show(rows, chosen)
    return 0


def show(rows: list[tuple[str, float]], chosen: argparse.Namespace) -> None:
    """Print jobs per second, and each row as a share of the last."""
    floor = rows[-1][1]
    setting = f"{chosen.jobs} no-op jobs, {chosen.instances} workers of {chosen.slots} slots"
    print(f"{setting}\n{'':<26}{'jobs/s':>8}{'of the floor':>15}")
    for name, rate in rows:
        print(f"{name:<26}{rate:>8.0f}{rate / floor:>14.0%}")


def embedded(chosen: argparse.Namespace) -> float:
    """Return jobs per second of the embedded queues."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(fill_embedded(folder, chosen.jobs))
        return run("embedded", folder, chosen)


def on_rabbitmq(url: str, chosen: argparse.Namespace) -> float:
    """Return jobs per second of a RabbitMQ."""
    asyncio.run(fill(url, chosen.jobs))
    with tempfile.TemporaryDirectory() as name:
        return run(url, Path(name), chosen)


def run(url: str, folder: Path, chosen: argparse.Namespace) -> float:
    """Run a supervisor over a full queue; return jobs per second, from the ledger's moments."""
    text = CONFIGURATION.format(
        broker=url, folder=folder, queue=QUEUE, instances=chosen.instances, slots=chosen.slots
    )
    file = folder / "bench.yaml"
    file.write_text(text)
    process = subprocess.Popen([sys.executable, "-m", "supervisor", "-c", file], cwd=ROOT)
    try:
        with Client(folder / "state" / "supervisor.sock") as client:
            wait_for(client, chosen.jobs)
    finally:
        process.terminate()
        process.wait()
    return rate(folder / "ledger.db", chosen.jobs)


def wait_for(client: Client, jobs: int) -> None:
    """Return when every job is completed."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(NoSupervisorError):
            if client.status().queues[0].completed >= jobs:
                return
        time.sleep(0.25)
    sys.exit(f"not all jobs were done within {PATIENCE:.0f} s")


def rate(ledger: Path, jobs: int) -> float:
    """Return jobs per second between the first 3 % and the last; checks that all are there."""
    with contextlib.closing(sqlite3.connect(ledger)) as database:
        query = "SELECT finished_at FROM jobs WHERE state = 'completed' ORDER BY finished_at"
        moments = [row[0] for row in database.execute(query)]
    if len(moments) != jobs:
        sys.exit(f"{len(moments)} jobs are completed in the ledger, {jobs} were published")
    warm = jobs * 3 // 100
    seconds: float = (moments[-1] - moments[warm]) / STAMPS_PER_SECOND
    return (jobs - warm) / seconds


async def fill_embedded(folder: Path, jobs: int) -> None:
    """Put jobs into the embedded queue of a ledger nobody runs on."""
    ledger = await Ledger.open(f"sqlite:///{folder}/ledger.db", clock=SystemClock())
    queues = await Queues.open(ledger)
    session = await EmbeddedBroker(queues.local("bench")).connect()
    await publish(session, jobs)
    await session.close()
    await queues.close()
    await ledger.close()


async def fill(url: str, jobs: int) -> None:
    """Put jobs into a RabbitMQ."""
    session = await RabbitBroker(url).connect()
    await publish(session, jobs)
    await session.close()


async def publish(session: Session, jobs: int) -> None:
    """Publish jobs, each confirmed, many at a time."""
    await session.declare(pool_queues(QUEUE))
    await session.purge(QUEUE)
    message = Message(BODY, Properties())
    for start in range(0, jobs, BATCH):
        batch = range(min(BATCH, jobs - start))
        await asyncio.gather(*(session.publish(QUEUE, message) for _ in batch))


async def bare(url: str, chosen: argparse.Namespace) -> float:
    """Return messages per second of a consumer that does nothing but ack."""
    await fill(url, chosen.jobs)
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=chosen.instances * chosen.slots)
    queue = await channel.get_queue(QUEUE, ensure=False)
    moments: list[float] = []
    done = asyncio.Event()

    async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        await message.ack()
        moments.append(time.monotonic())
        if len(moments) == chosen.jobs:
            done.set()

    await queue.consume(take)
    await asyncio.wait_for(done.wait(), PATIENCE)
    await connection.close()
    warm = chosen.jobs * 3 // 100
    elapsed = moments[-1] - moments[warm]
    return float((chosen.jobs - warm) / elapsed)


@contextlib.contextmanager
def broker(url: str | None) -> Iterator[str | None]:
    """Yield the broker's URL: the one named, or a private one's."""
    if url:
        yield url
        return
    sys.path.insert(0, str(ROOT))
    from tests.support.installations import debian_12
    from tests.support.rabbitmq import PrivateRabbit

    if not debian_12().is_there:
        print("no RabbitMQ is installed here: its rows are left out", file=sys.stderr)
        yield None
        return
    with PrivateRabbit(debian_12()) as rabbit:
        yield rabbit.url


if __name__ == "__main__":
    sys.exit(main())
