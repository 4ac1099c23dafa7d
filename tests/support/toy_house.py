"""A small coordinator for the guard's tests: ``python -m tests.support.toy_house FOLDER ACT``.

Starts one toy worker, prints its pid and those of its children as JSON, then waits. It counts
interrupts and, when TERM comes or the guard is gone, prints the count and leaves with code 7.
After USR1 it ends by an exception instead, without closing anything.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from supervisor import guard
from supervisor.processes import Processes
from tests.support.toys import ENTRY, spec_for
from workers.messages import FromWorker, Stopped


async def run(folder: Path, act: str) -> int:
    """Be a coordinator until told to stop."""
    loop = asyncio.get_running_loop()
    stop, children = asyncio.Event(), asyncio.Queue[str]()
    interrupts: list[str] = []
    failures: list[str] = []

    def interrupted() -> None:
        interrupts.append("SIGINT")
        say("interrupted")

    def fail() -> None:
        failures.append("SIGUSR1")
        stop.set()

    def abandoned() -> None:
        loop.call_soon_threadsafe(stop.set)

    loop.add_signal_handler(signal.SIGINT, interrupted)
    loop.add_signal_handler(signal.SIGUSR1, fail)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    guarded = guard.watch(abandoned)

    def receive(message: FromWorker) -> None:
        if isinstance(message, Stopped):
            children.put_nowait(message.reason)

    processes = Processes(lambda _: None, entry=ENTRY, preload=("tests.support.toys",))
    await processes.start()
    worker = await processes.spawn(spec_for(folder, act), receive=receive)
    pids = [int(pid) for pid in (await children.get()).split(",")]
    say(
        json.dumps(
            {"coordinator": os.getpid(), "worker": worker.pid, "children": pids, "guard": guarded}
        )
    )
    await stop.wait()
    if failures:
        raise RuntimeError("told to fail")
    await processes.close()
    say(f"interrupts {len(interrupts)}")
    return 7


def say(line: str) -> None:
    """Print a line for the test to read."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(run(Path(sys.argv[1]), sys.argv[2])))
