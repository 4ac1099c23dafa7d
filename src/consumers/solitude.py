"""Who may run beside whom: jobs run together, a suspect runs alone.

A suspect is a job that a worker died of, perhaps. When it runs alone, nothing else can be blamed
for what it does, and it for nothing that others do. It goes first: while one waits, nobody else
begins, so that its turn comes as soon as those who run have ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Turn = Callable[[], Awaitable[None]]  # returns when the job may begin


class Solitude:
    """The jobs of one worker, from their start to the end of their runs.

    ``changed`` is called when the first suspect comes and when the last has gone.
    """

    def __init__(self) -> None:
        self.most: int | None = None  # how many run at once; none: as many as come
        self._together = 0  # jobs that run and are no suspects
        self._suspects = 0  # those that wait, and the one that runs
        self._is_alone = False
        self._waiting: list[asyncio.Future[None]] = []
        self.changed: Callable[[], None] = lambda: None

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

        async def begin() -> None:
            nonlocal has_begun
            while self._suspects or self._is_full:
                await self._change()
            self._together += 1
            has_begun = True

        try:
            yield begin
        finally:
            self._together -= has_begun
            self._wake()

    @contextmanager
    def _alone(self) -> Iterator[Turn]:
        has_begun = False

        async def begin() -> None:
            nonlocal has_begun
            while self._together or self._is_alone:
                await self._change()
            self._is_alone = has_begun = True

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

    @property
    def _is_full(self) -> bool:
        return self.most is not None and self._together >= self.most

    async def _change(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _wake(self) -> None:
        """Let all who wait look again, in the order they came."""
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)
