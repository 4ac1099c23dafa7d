"""What ties a worker process to its coordinator: the first thing that runs in a new process.

A worker leads its own session, so Ctrl-C on the terminal is not for it; it writes its stacks
down when asked, even while C code holds the interpreter; and it does not outlive its
coordinator. PDEATHSIG would be simpler, but it kills the worker before the worker could kill
its own children.
"""

import faulthandler
import importlib
import os
import select
import signal
import socket
import threading
from pathlib import Path
from types import FrameType

from workers import descendants, usage
from workers.spec import WorkerSpec

DUMP = signal.SIGUSR2
# Held back while a process is started, until it knows what to do with them.
HELD_BACK = frozenset(
    {
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGTTIN,
        signal.SIGTTOU,
    }
)
_OPERATORS = HELD_BACK - {signal.SIGTERM, DUMP}  # orders to the coordinator, nothing to a worker


def enter(entry: str, spec: bytes, channel: socket.socket) -> None:
    """Call ``module:function`` with the worker's spec (JSON) and its end of the pipe."""
    module, _, function = entry.partition(":")
    getattr(importlib.import_module(module), function)(spec, channel)


def attach(spec: WorkerSpec, channel: socket.socket) -> None:
    """Make this process a worker: session, signals, stack dumps, niceness, the watch."""
    os.setsid()
    descendants.adopt_orphans()
    _dump_stacks_into(Path(spec.stacks))
    _obey_the_coordinator_only()
    usage.apply_niceness(spec.cpu)
    _watch(channel)


def _dump_stacks_into(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")  # faulthandler keeps it open for the life of the process
    faulthandler.enable(file=file)
    faulthandler.register(DUMP, file=file, all_threads=True)


def _obey_the_coordinator_only() -> None:
    def ignore(_number: int, _frame: FrameType | None) -> None:
        """Do nothing. SIG_IGN would be inherited by ffmpeg and the like; a handler is not."""

    for number in _OPERATORS:
        signal.signal(number, ignore)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)


def _watch(channel: socket.socket) -> None:
    """End this process and its family when the other end of the pipe is gone."""
    own = os.dup(channel.fileno())  # the loop owns the original, and may close it first

    def wait_for_the_end() -> None:
        poll = select.poll()
        # Only hang-ups: reading is the loop's business.
        poll.register(own, getattr(select, "POLLRDHUP", 0))
        poll.poll()
        descendants.kill_all(lambda: descendants.descendants(os.getpid()))
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait_for_the_end, name="lifeline", daemon=True).start()
