"""The process of the hooks: calls them one after another, and says how each went.

``python -m supervisor.hooks.child NAME...`` serves; with ``--check`` it only says of each name
whether it leads to hooks. What the hooks print goes to stderr. It ends with the coordinator: when
nothing more can be read, a hook that still runs has a moment to finish.
"""

import asyncio
import contextlib
import inspect
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from supervisor import news
from supervisor.hooks.finding import Hook, find, wanted
from supervisor.hooks.words import Calling, Failed, FromHooks, Handled, Ready, Unusable
from supervisor.ports import Event
from workers.registry import RegistryError, Report

LONGEST = 1_000  # characters of what a hook raised that are said
LAST_MOMENT = 5.0  # seconds for a hook that runs when the coordinator is gone


class Caller:
    """Calls hooks, plain ones and coroutines."""

    def __init__(self, hooks: Sequence[Hook], said: BinaryIO) -> None:
        self._hooks = hooks
        self._said = said
        self._runner = asyncio.Runner()

    def handle(self, event: Event) -> None:
        """Call every hook that wants the event, in the order in which they were named."""
        for hook in self._hooks:
            if hook.wants(event.name):
                say(self._said, Calling(hook.name))
                self._call(hook, event)
        say(self._said, Handled())

    def _call(self, hook: Hook, event: Event) -> None:
        try:
            returned = hook.call(event)
            if inspect.iscoroutine(returned):
                self._runner.run(returned)
        # What a hook raises is said, whatever it is; the next one is called all the same.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            traceback.print_exc()
            say(self._said, Failed(hook.name, in_one_line(error)))


def say(to: BinaryIO, words: FromHooks) -> None:
    """Write one line."""
    to.write(msgspec.json.encode(words) + b"\n")
    to.flush()


def serve(names: Sequence[str], said: BinaryIO) -> int:
    """Load the hooks, then call them with every event that comes."""
    hooks: list[Hook] = []
    for name in names:
        try:
            hooks.extend(find(name))
        except RegistryError as error:
            say(said, Unusable(error.name, error.why))
            return 1
    say(said, Ready(wanted(hooks)))
    caller, coming = Caller(hooks, said), _coming()
    while (line := coming.get()) is not None:
        caller.handle(news.read(line))
    return 0


def check(names: Sequence[str], said: BinaryIO) -> int:
    """Say of each name whether it leads to hooks."""
    for name in names:
        why = None
        try:
            find(name)
        except RegistryError as error:
            why = error.why
        said.write(msgspec.json.encode(Report(name, why)) + b"\n")
    said.flush()
    return 0


def main(arguments: Sequence[str]) -> int:
    """Do what is asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the coordinator
    # What hooks print must not be taken for what we say.
    said = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if arguments[:1] == ["--check"]:
        return check(arguments[1:], said)
    return serve(arguments, said)


def _coming() -> "queue.SimpleQueue[bytes | None]":
    """Return the events as they come, read beside; then None."""
    coming: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            coming.put(line)
        coming.put(None)
        threading.Timer(LAST_MOMENT, os._exit, (1,)).start()

    threading.Thread(target=read, daemon=True).start()
    return coming


def in_one_line(error: BaseException) -> str:
    """Return what a hook raised, and where, in few words."""
    said = " ".join(traceback.format_exception_only(error)[-1][:LONGEST].split())
    frames = traceback.extract_tb(error.__traceback__)
    return f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):  # the coordinator is gone
        os._exit(main(sys.argv[1:]))  # whatever threads the hooks left behind
