"""How fair a pool is that is limited by key: a thousand jobs of one user, then ten of another.

    python bench/limits.py [--jobs 1000] [--broker amqp://...]

All jobs wait in the queue when the supervisor starts, those of the crowd first. Each row is one
limit on one driver: how long all of it took beside the least that the limit allows, when the others
were done, and how often the jobs of the crowd were put aside.
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

QUEUE = "bench_limits"
OTHERS = 10
SECONDS = 0.05  # a job takes
LIMITS = {"rate: 100/s": 100.0, "concurrency: 5": 5 / SECONDS}  # and the most jobs a second

CONFIGURATION = """\
broker: {broker}
state: {folder}/state
ledger: sqlite:///{folder}/ledger.db
media: {{root: {folder}/media}}
workers:
  limited: {{queue: {queue}, processor: "examples.pause:handle", concurrency: 15, memory: 1GB,
             limits: {{by: from, {limit}}}}}
logs: {{level: warning}}
"""


@dataclass(frozen=True)
class Row:
    """What was seen of one limit on one driver; seconds from the start of the first job."""

    name: str
    all_done: float
    others_done: float
    put_aside: list[int]  # how often, each job of the crowd


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--broker", help="an AMQP URL; default: a private broker is started")
    chosen = parser.parse_args()
    print(f"{chosen.jobs} jobs of one user, then {OTHERS} of another, {SECONDS * 1000:g} ms each")
    print(f"{'':<28}{'least':>8}{'took':>8}{'others done':>13}{'put aside: mean':>17}{'most':>6}")
    with broker(chosen.broker) as url:
        for limit, most in LIMITS.items():
            for row in rows(limit, url, chosen.jobs):
                mean = sum(row.put_aside) / len(row.put_aside)
                figures = (
                    f"{chosen.jobs / most:>7.1f}s{row.all_done:>7.1f}s{row.others_done:>12.1f}s"
                )
                print(f"{row.name:<28}{figures}{mean:>17.2f}{max(row.put_aside):>6}", flush=True)
    return 0


def rows(limit: str, url: str | None, jobs: int) -> Iterator[Row]:
    """Yield a row for each driver there is."""
    for driver, address in (("embedded", "embedded"), ("RabbitMQ", url)):
        if address:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                asyncio.run(fill(folder, address, jobs))
                yield run(f"{driver}, {limit}", folder, address, limit, jobs)


def run(name: str, folder: Path, address: str, limit: str, jobs: int) -> Row:
    """Run a supervisor over the full queue and return what its ledger tells."""
    file = folder / "bench.yaml"
    file.write_text(CONFIGURATION.format(broker=address, folder=folder, queue=QUEUE, limit=limit))
    process = subprocess.Popen([sys.executable, "-m", "supervisor", "-c", file], cwd=ROOT)
    try:
        with Client(folder / "state" / "supervisor.sock") as client:
            wait_for(client, jobs + OTHERS)
    finally:
        process.terminate()
        process.wait()
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as database:
        query = "SELECT sender, started_at / 1e6, finished_at / 1e6, seq FROM jobs"
        seen = database.execute(query).fetchall()
    start = min(row[1] for row in seen)
    return Row(
        name,
        max(row[2] for row in seen) - start,
        max(row[2] for row in seen if row[0] == "other") - start,
        [row[3] for row in seen if row[0] == "crowd"],
    )


async def fill(folder: Path, address: str, jobs: int) -> None:
    """Put the jobs into the queue, the crowd's first."""
    if address != "embedded":
        session: Session = await RabbitBroker(address).connect()
        await publish(session, jobs)
        await session.close()
        return
    ledger = await Ledger.open(f"sqlite:///{folder}/ledger.db", clock=SystemClock())
    queues = await Queues.open(ledger)
    session = await EmbeddedBroker(queues.local("bench")).connect()
    await publish(session, jobs)
    await session.close()
    await queues.close()
    await ledger.close()


async def publish(session: Session, jobs: int) -> None:
    """Publish jobs, each confirmed."""
    pool = pool_queues(QUEUE)
    await session.declare(pool)
    for queue in (pool.public, pool.priority):
        await session.purge(queue)
    for user, count in (("crowd", jobs), ("other", OTHERS)):
        body = json.dumps({"from": user, "noreply": True, "seconds": SECONDS}).encode()
        message = Message(body, Properties())
        await asyncio.gather(*(session.publish(QUEUE, message) for _ in range(count)))


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"({time.monotonic() - began:.0f} s)")
    sys.exit(code)
