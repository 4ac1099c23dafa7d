"""What events cost: jobs per second with the exchange on and off, and a thousand idle listeners.

    python bench/events.py [--jobs 3000] [--rounds 3] [--listeners 1000]

The first part runs ``bench/throughput.py``'s jobs on a private RabbitMQ, in turn with and without
``events.exchange``; the second opens streams on a supervisor at rest and asks what they take.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import throughput

ROOT = Path(__file__).parent.parent
LAST = "logs: {level: warning}\n"


def main() -> int:
    """Run both parts and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--listeners", type=int, default=1000)
    parser.add_argument("--instances", type=int, default=2)
    parser.add_argument("--slots", type=int, default=15)
    chosen = parser.parse_args()
    plain = throughput.CONFIGURATION
    kinds = {"on": plain, "off": plain.replace(LAST, LAST + "events: {exchange: off}\n")}
    rates: dict[str, list[float]] = {"on": [], "off": []}
    with throughput.broker(None) as url:
        for _ in range(chosen.rounds if url else 0):
            for kind, text in kinds.items():
                throughput.CONFIGURATION = text
                rates[kind].append(throughput.on_rabbitmq(str(url), chosen))
    for kind, found in rates.items():
        if found:
            each = ", ".join(f"{rate:.0f}" for rate in found)
            print(f"events {kind:<4} {statistics.median(found):>6.0f} jobs/s  ({each})")
    if chosen.listeners:
        idle(chosen.listeners)
    return 0


def idle(count: int) -> None:
    """Print what so many idle streams take: memory, and time while others have news."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = throughput.CONFIGURATION.format(
            broker="embedded", folder=folder, queue="idle", instances=1, slots=1
        )
        (folder / "idle.yaml").write_text(text)
        command = [sys.executable, "-m", "supervisor", "-c", folder / "idle.yaml"]
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            path = folder / "state" / "supervisor.sock"
            while not path.exists():
                time.sleep(0.1)
            time.sleep(2)
            asyncio.run(_listen(path, _coordinator(process.pid), count))
        finally:
            process.terminate()
            process.wait()


async def _listen(path: Path, coordinator: psutil.Process, count: int) -> None:
    before = coordinator.memory_info().rss
    began, writers = time.monotonic(), []
    for number in range(count):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(f"GET /api/events?job=j{number} HTTP/1.1\r\nHost: s\r\n\r\n".encode())
        await reader.readuntil(b": connected\n\n")
        writers.append(writer)
    took, more = time.monotonic() - began, coordinator.memory_info().rss - before
    used = coordinator.cpu_times().user
    await asyncio.sleep(10)
    used = coordinator.cpu_times().user - used
    print(f"{count} idle streams: opened in {took:.1f} s, {more / count / 1000:.0f} kB each,")
    for writer in writers:
        writer.close()
    await asyncio.sleep(3)
    files = coordinator.num_fds()
    print(f"  {used / 10:.1%} of a core at rest; {files} files open when all are gone")


def _coordinator(pid: int) -> psutil.Process:
    """Return who answers on the socket: the process that was started, or the guard's child."""
    family = [psutil.Process(pid), *psutil.Process(pid).children()]
    return next(process for process in family if _answers(process))


def _answers(process: psutil.Process) -> bool:
    return any("supervisor.sock" in str(one.laddr) for one in process.net_connections("unix"))


if __name__ == "__main__":
    sys.exit(main())
