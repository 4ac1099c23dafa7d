"""Who may run beside whom: jobs run together, a suspect runs alone.

A suspect is a job that a worker died of, perhaps. When it runs alone, nothing else can be blamed
for what it does, and it for nothing that others do. It goes first: while one waits, nobody else
begins, so that its turn comes as soon as those who run have ended. Others do not wait for long:
another worker may have room for them.
"""

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

# Returns when the job may begin; False when it is to go elsewhere instead.
Turn = Callable[[], Awaitable[bool]]


class Solitude:
    """The jobs of one worker, from their start to the end of their runs.

    ``changed`` is called when the first suspect comes and when the last has gone, ``unmet`` when
    a job goes elsewhere. None waits longer than ``patience`` does, but suspects.
    """

    def __init__(self) -> None:
        self.most: int | None = None  # how many run at once; none: as many as come
        self._together = 0  # jobs that run and are no suspects
        self._suspects = 0  # those that wait, and the one that runs
        self._is_alone = False
        self._waiting: list[asyncio.Future[None]] = []
        self._patient: set[asyncio.Future[None]] = set()
        self.patience: Callable[[], Awaitable[None]] = asyncio.Event().wait  # type: ignore[assignment]
        self.changed: Callable[[], None] = lambda: None
        self.unmet: Callable[[], None] = lambda: None

    @property
    def is_wanted(self) -> bool:
        """Answer whether a suspect runs or waits."""
        return self._suspects > 0

    def place(self, *, alone: bool) -> AbstractContextManager[Turn]:
        """Lend a job its place, which it has from the moment that its ``Turn`` returns.

        To leave never waits: what follows a run can be said before anybody else begins.
        """
        return self._alone() if alone else self._beside_others()

    @contextmanager
    def _beside_others(self) -> Iterator[Turn]:
        has_begun = False

        async def begin() -> bool:
            nonlocal has_begun
            if self._is_closed and not await self._in_time():
                self.unmet()
                return False
            self._together += 1
            has_begun = True
            return True

        try:
            yield begin
        finally:
            self._together -= has_begun
            self._wake()

    @contextmanager
    def _alone(self) -> Iterator[Turn]:
        has_begun = False

        async def begin() -> bool:
            nonlocal has_begun
            while self._together or self._is_alone:
                await self._change()
            self._is_alone = has_begun = True
            return True

        self._suspects += 1
        if self._suspects == 1:
            self.changed()
        try:
            yield begin
        finally:
            self._is_alone = self._is_alone and not has_begun
            self._suspects -= 1
            if not self._suspects:
                self.changed()
            self._wake()

    def send_away(self) -> None:
        """Have those that wait go elsewhere, but the suspects."""
        for patience in self._patient:
            patience.cancel()

    @property
    def _is_closed(self) -> bool:
        """Answer whether nobody may begin but a suspect."""
        is_full = self.most is not None and self._together >= self.most
        return self._suspects > 0 or is_full

    async def _in_time(self) -> bool:
        """Wait for a turn; answer whether it came before the patience was at its end."""
        patience = asyncio.ensure_future(self.patience())
        self._patient.add(patience)
        try:
            while self._is_closed and not patience.done():
                await asyncio.wait({self._change(), patience}, return_when=FIRST_COMPLETED)
        finally:
            self._patient.discard(patience)
            patience.cancel()
        return not self._is_closed

    def _change(self) -> asyncio.Future[None]:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        return turn

    def _wake(self) -> None:
        """Let all who wait look again, in the order they came."""
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)
