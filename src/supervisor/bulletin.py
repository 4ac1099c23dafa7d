"""The bulletin: what happens, told to everyone who listens, and kept for those who come back.

A listener that does not keep up loses the oldest news and is told how many; it never holds anyone
up. What happens within a few milliseconds is handed out together, so that a thousand listeners
cost little while much happens.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Sequence

from supervisor import news
from supervisor.desks.events import EVERYTHING, News, Told, Wanted
from supervisor.ports import Event

KEPT = 2000  # events, for listeners who come back
BACKLOG = 1000  # events kept for one slow listener
GATHER = 0.01  # seconds in which news are gathered before they are handed out


class Bulletin:
    """Fans events out to its listeners."""

    def __init__(self) -> None:
        self._life = uuid.uuid4().hex[:12]  # keys of an earlier one mean nothing here
        self._number = 0
        self._kept: deque[Told] = deque(maxlen=KEPT)
        self._fresh: list[Told] = []  # not handed out yet
        self._trays: set[Tray] = set()
        self._handing_out: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def listeners(self) -> int:
        """Return how many listen just now."""
        return len(self._trays)

    def publish(self, event: Event) -> None:
        """Tell every listener."""
        self._number += 1
        key, body = f"{self._life}-{self._number}", news.written(event)
        about = (event.name, event.queue, event.id, body, event.root)
        told = Told(self._number, key, event.at, *about)
        self._kept.append(told)
        if self._trays:
            self._fresh.append(told)
            if self._handing_out is None:
                here = asyncio.get_running_loop()
                self._handing_out = here.call_later(GATHER, self.hand_out)

    def close(self) -> None:
        """Tell every listener that nothing more comes, and those who would listen yet."""
        self._is_closed = True
        self.hand_out()
        for tray in tuple(self._trays):
            tray.close()

    def listen(
        self, wanted: Wanted = EVERYTHING, *, after: str | None = None, backlog: int = 0
    ) -> "Tray":
        """Return a place to hear what happens from now on, or since the event of key ``after``.

        ``backlog`` is how many events are kept for a listener that does not come for them.
        """
        self.hand_out()  # what was told before is not for this one
        tray = Tray(self, wanted, backlog or BACKLOG)
        if after is not None:
            tray.catch_up(*self._since(after))
        if self._is_closed:
            tray.close()
        else:
            self._trays.add(tray)
        return tray

    def hand_out(self) -> None:
        """Hand out what is gathered, without waiting for more."""
        if self._handing_out is not None:
            self._handing_out.cancel()
            self._handing_out = None
        fresh, self._fresh = self._fresh, []
        if fresh:
            for tray in self._trays:
                tray.put(fresh)

    def forget(self, tray: "Tray") -> None:
        """Tell a listener nothing any more."""
        self._trays.discard(tray)

    def _since(self, key: str) -> tuple[Sequence[Told], int | None]:
        """Return what is kept of what came after an event, and how much is not."""
        life, _, number = key.rpartition("-")
        if life != self._life or not (number.isascii() and number.isdigit()):
            return tuple(self._kept), None
        seen = int(number)
        later = [told for told in self._kept if told.number > seen]
        return later, max(0, self._number - seen - len(later))


class Tray:
    """What is kept for one listener until it comes for it."""

    def __init__(self, bulletin: Bulletin, wanted: Wanted, backlog: int) -> None:
        self._bulletin = bulletin
        self._wanted = wanted
        self._told: deque[Told] = deque(maxlen=backlog)
        self._missed: int | None = 0
        self._waiting: asyncio.Future[None] | None = None
        self._is_closed = False

    def put(self, fresh: Sequence[Told]) -> None:
        """Keep what is wanted of the news; the oldest give way."""
        fitting = fresh if self._wanted == EVERYTHING else [*filter(self._wanted.fits, fresh)]
        over = len(self._told) + len(fitting) - (self._told.maxlen or 0)
        if over > 0 and self._missed is not None:
            self._missed += over
        self._told.extend(fitting)
        if fitting:
            self._wake()

    def choose(self, wanted: Wanted) -> None:
        """Want something else from now on, and of what is kept already."""
        self._wanted = wanted
        self._told = deque(filter(wanted.fits, self._told), maxlen=self._told.maxlen)

    def catch_up(self, told: Sequence[Told], missed: int | None) -> None:
        """Begin with what happened before; ``missed`` of it are not kept any more."""
        self._missed = missed
        self.put(told)

    async def take(self) -> News | None:
        """Return what happened since the last time, waiting for it; None once no more comes.

        To be broken off while it waits costs no news.
        """
        while not self._told and self._missed == 0:
            if self._is_closed:
                return None
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        taken = News(tuple(self._told), self._missed)
        self._told.clear()
        self._missed = 0
        return taken

    def close(self) -> None:
        """Let the listener know, after what is kept for it, that nothing more comes."""
        self._is_closed = True
        self.leave()
        self._wake()

    def leave(self) -> None:
        """Hear nothing any more; may be called twice."""
        self._bulletin.forget(self)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
