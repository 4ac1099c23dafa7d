"""The supervisor with one promise broken on purpose, to see whether the chaos suite notices.

``python -m tests.chaos.sabotaged ack-early -c supervisor.yaml``. The product has no switch for
this: one seam of it is replaced here, before its main function or its worker's runs. It runs
without a guard.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from typing_extensions import override

from consumers.broker.port import Message
from consumers.executor import Executor
from consumers.hand import Hand
from consumers.jobs import Envelope
from supervisor.cli.main import main as command_line
from supervisor.core.records import PoolCard
from supervisor.processes import Processes
from workers import runtime

ACK_EARLY, SKIP_THE_COPY, NO_CRASH_LIMIT = "ack-early", "skip-the-copy", "no-crash-limit"
LATE = 1.0  # seconds between the ack and the copy
HERE = "tests.chaos.sabotaged"


# --- in a worker -------------------------------------------------------------------------------


class Acked(Hand):
    """A delivery that is acked already."""

    @override
    async def ack(self) -> None:
        return


class CopiedLater(Hand):
    """A delivery that is acked before its copy is stored."""

    @override
    async def replace(self, queue: str, copy: Message, *, delay: float = 0.0) -> None:
        await self.ack()
        await asyncio.sleep(LATE)
        await self.session.publish(queue, copy, delay=delay)


def ack_early(spec: bytes, channel: socket.socket) -> None:
    """Be a worker that acks before it begins."""
    execute = Executor.execute

    async def hastily(self: Executor, hand: Hand, envelope: Envelope) -> float | None:
        await hand.ack()
        return await execute(self, Acked(hand.session, hand.delivery), envelope)

    Executor.execute = hastily  # type: ignore[method-assign]  # the sabotage
    runtime.main(spec, channel)


def skip_the_copy(spec: bytes, channel: socket.socket) -> None:
    """Be a worker that does not wait for its copies to be stored."""
    execute = Executor.execute

    async def carelessly(self: Executor, hand: Hand, envelope: Envelope) -> float | None:
        return await execute(self, CopiedLater(hand.session, hand.delivery), envelope)

    Executor.execute = carelessly  # type: ignore[method-assign]  # the sabotage
    runtime.main(spec, channel)


# --- in the coordinator ------------------------------------------------------------------------


def _hire(entry: Callable[[bytes, socket.socket], None]) -> None:
    """Start workers at another entry."""
    begin = Processes.__init__

    def begin_here(self: Processes, *words: Any, **facts: Any) -> None:
        here = {"entry": f"{HERE}:{entry.__name__}", "preload": (HERE,)}
        begin(self, *words, **facts | here)

    Processes.__init__ = begin_here  # type: ignore[method-assign]  # the sabotage


def _forgive() -> None:
    """Let every job take down as many workers as it likes."""
    begin = PoolCard.__init__

    def begin_leniently(self: PoolCard, *words: Any, **facts: Any) -> None:
        begin(self, *words, **facts)
        object.__setattr__(self, "max_crashes", 10**6)

    PoolCard.__init__ = begin_leniently  # type: ignore[method-assign]  # the sabotage


DEEDS: Mapping[str, Callable[[], None]] = {
    ACK_EARLY: partial(_hire, ack_early),
    SKIP_THE_COPY: partial(_hire, skip_the_copy),
    NO_CRASH_LIMIT: _forgive,
}

if __name__ == "__main__":
    DEEDS[sys.argv[1]]()
    sys.exit(command_line(sys.argv[2:]))
