"""Copies that the broker does not take: the consumer is held, and they are tried until stored.

A dead-letter queue that is full or rejects would otherwise cost the jobs or run them in circles.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from consumers import logs
from consumers.clock import Clock
from consumers.errors import BrokerError, ForbiddenError, UnroutableError
from consumers.holds import Gate, Unheld

HOLD = "copies"  # the name of the hold
PAUSE = 5.0  # seconds between the first two tries
LONGEST_PAUSE = 60.0
ROOM = "make room or delete its limit"
REFUSED = (UnroutableError, ForbiddenError)  # a no that the session survives, or may have survived

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """A copy on its way: where to, how to store it, and how to mend what may be missing there."""

    queue: str
    store: Callable[[], Awaitable[None]]
    mend: Callable[[], Awaitable[None]]
    ended: Callable[[], Awaitable[object]]  # waits for the end of the session it needs


class Refusals:
    """Sees copies to their queues; holds its gate while any of them is refused."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused = 0  # copies that are being tried again
        self.gate: Gate = Unheld()

    async def see_to(self, errand: Errand) -> None:
        """Return when the copy is stored; raises only when its session is over."""
        try:
            await errand.store()
        except REFUSED as error:
            if await _refusal(errand):
                await self._insist(errand, error)
            else:  # its queue had only been missing
                log.warning("copy refused, then taken", queue=errand.queue, why=str(error))

    async def _insist(self, errand: Errand, why: BrokerError) -> None:
        self._refused += 1
        try:
            await self._stop(errand.queue, why)
            pause = PAUSE
            await self._wait(errand, pause)
            while await _refusal(errand):
                pause = min(2 * pause, LONGEST_PAUSE)
                await self._wait(errand, pause)
            if self._refused == 1:
                log.info("copies are taken again", queue=errand.queue)
        finally:
            self._refused -= 1
            if not self._refused:
                await self.gate.release(HOLD)

    async def _wait(self, errand: Errand, pause: float) -> None:
        """Let time pass, but not beyond the session: the next one brings the original again."""
        waits = [
            asyncio.ensure_future(self._clock.sleep(pause)),
            asyncio.ensure_future(errand.ended()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _stop(self, queue: str, why: BrokerError) -> None:
        reason = str(why).removeprefix(f"publish to {queue}: ").removeprefix(f"{queue}: ")
        told = f"{queue} takes nothing ({reason}); {why.hint or ROOM}"
        if self._refused == 1:
            log.error("copy refused, taking nothing new", queue=queue, why=told)
        await self.gate.hold(HOLD, told)


async def _refusal(errand: Errand) -> str:
    """Mend and try again; return why it was refused, nothing when it is stored."""
    try:
        await errand.mend()
        await errand.store()
    except REFUSED as error:
        return str(error)
    return ""
