"""How late delayed jobs are, seen by the processor: both drivers, p50, p99 and the worst.

    python bench/delays.py [--jobs 10000] [--over 100] [--broker amqp://...]

Jobs are handed in over HTTP with a moment of their own (``runAt``), all before the first is due,
and spread evenly over so many seconds; a real supervisor runs them. Each notes how much later
than its moment its processor was called. ``--over`` is what the machine must carry: 10,000 jobs
over 100 s are 100 a second, and a rate above what it can do measures its queue, not its clock.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
ALLOWED = 0.5  # seconds, of the 99th percentile
SUBMITTERS = 24
PATIENCE = 60.0  # seconds after the last is due
WARM_UP = 300  # jobs
MEANWHILE = 2.0  # seconds until those are due
SPARE = 1.4  # times as long as it should take to hand all in

CONFIGURATION = """\
broker: {broker}
state: {folder}/state
ledger: sqlite:///{folder}/ledger.db
media: {{root: {folder}/media}}
workers:
  timed: {{queue: bench_delays, processor: "bench.delays:handle", instances: 1,
           concurrency: 15, memory: 1GB}}
logs: {{level: warning}}
"""


async def handle(job: object, _context: object) -> dict[str, float]:
    """Note how late the job is."""
    data = getattr(job, "data", {})
    return {"late": time.time() - data["due"]}  # noqa: TID251 - one machine, one clock


def main() -> int:
    """Run the benchmark and print its table; 1 if something was late or lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--over", type=float, default=100.0, help="seconds")
    parser.add_argument("--broker", help="an AMQP URL; default: a private broker is started")
    parser.add_argument("--only", choices=("embedded", "rabbitmq"))
    chosen = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    print(f"{chosen.jobs} jobs over {chosen.over:g} s")
    print(f"{'':<12}{'early':>8}{'p50':>9}{'p99':>9}{'max':>9}  (seconds late)")
    well = True
    if chosen.only != "rabbitmq":
        well &= measure("embedded", "embedded", chosen)
    if chosen.only != "embedded":
        from bench.throughput import broker

        with broker(chosen.broker) as url:
            well &= url is None or measure("RabbitMQ", url, chosen)
    return 0 if well else 1


def measure(name: str, broker: str, chosen: argparse.Namespace) -> bool:
    """Run all jobs on one driver and print how late they were; answer whether that is allowed."""
    with tempfile.TemporaryDirectory() as folder, supervisor(broker, Path(folder)) as socket:
        last = asyncio.run(hand_in(socket, chosen))
        late = sorted(collected(Path(folder) / "ledger.db", chosen.jobs, until=last + PATIENCE))
    p50, p99 = (late[int(len(late) * share)] for share in (0.5, 0.99))
    early = sum(each < 0 for each in late)
    print(f"{name:<12}{early:>8}{p50:>9.3f}{p99:>9.3f}{late[-1]:>9.3f}", flush=True)
    return p99 <= ALLOWED and not early


async def hand_in(socket: Path, chosen: argparse.Namespace) -> float:
    """Hand all jobs in, in no order; return when the last is due, in seconds since 1970."""
    import httpx

    line = httpx.AsyncHTTPTransport(uds=str(socket))
    async with httpx.AsyncClient(transport=line, base_url="http://here", timeout=60) as client:

        async def submit(moments: Iterator[datetime]) -> None:
            for due in moments:
                order = {"pool": "timed", "data": {"due": due.timestamp(), "noreply": True}}
                answer = await client.post("/api/jobs", json=order | {"runAt": due.isoformat()})
                answer.raise_for_status()

        async def submit_all(moments: list[datetime]) -> float:
            began, waiting = time.monotonic(), iter(moments)
            await asyncio.gather(*(submit(waiting) for _ in range(SUBMITTERS)))
            return (time.monotonic() - began) / len(moments)

        # Some that count for nothing show how fast this machine takes them.
        pace = await submit_all([_soon(MEANWHILE)] * WARM_UP)
        first = _soon(5 + SPARE * pace * chosen.jobs)
        step = timedelta(seconds=chosen.over / chosen.jobs)
        moments = [first + n * step for n in range(chosen.jobs)]
        random.shuffle(moments)
        await submit_all(moments)
    left = first.timestamp() - time.time()  # noqa: TID251
    if left < 0:
        print(f"  the first were due {-left:.0f} s before the last was handed in")
    return first.timestamp() + chosen.over


def _soon(seconds: float) -> datetime:
    return datetime.fromtimestamp(time.time() + seconds, UTC)  # noqa: TID251


def collected(ledger: Path, jobs: int, *, until: float) -> Iterator[float]:
    """Yield how late each job was, once all are done."""
    query = "SELECT result FROM jobs WHERE state = 'completed' ORDER BY number LIMIT -1 OFFSET ?"
    with contextlib.closing(sqlite3.connect(ledger)) as database:
        while time.time() < until:  # noqa: TID251
            number = database.execute(
                "SELECT count(*) FROM jobs WHERE state = 'completed'"
            ).fetchone()[0]
            if number >= jobs + WARM_UP:
                break
            time.sleep(2)
        results = database.execute(query, (WARM_UP,)).fetchall()
    if len(results) != jobs:
        sys.exit(f"{len(results)} of {jobs} jobs were done")
    yield from (json.loads(row[0])["data"]["late"] for row in results)


@contextlib.contextmanager
def supervisor(broker: str, folder: Path) -> Iterator[Path]:
    """Run a supervisor and yield its control socket."""
    from supervisor.client import Client, NoSupervisorError

    file, socket = folder / "bench.yaml", folder / "state" / "supervisor.sock"
    file.write_text(CONFIGURATION.format(broker=broker, folder=folder))
    process = subprocess.Popen([sys.executable, "-m", "supervisor", "-c", file], cwd=ROOT)
    try:
        for _ in itertools.repeat(None, 200):
            with contextlib.suppress(NoSupervisorError), Client(socket) as client:
                if all(worker.consuming for worker in client.status().workers):
                    break
            time.sleep(0.1)
        yield socket
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
