"""The one thread that writes, in group commits: what came while the last one ran is the next.

An operation is a function of a connection. Its answer is given when it is on the disk; each has
a savepoint of its own, so that one that fails leaves its neighbours alone.
"""

import asyncio
import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import SQLAlchemyError

from supervisor.core.troubles import Trouble
from supervisor.ledger.errors import PATIENCE, LedgerClosedError, LedgerError
from supervisor.ledger.rooms import Room

T = TypeVar("T")

COLLISIONS = 3  # of one operation, until it fails
UNTIDY = 1_000  # operations until what they leave is put in order


@dataclass(slots=True)
class _Entry(Generic[T]):
    """An operation, and then how it went."""

    operation: Callable[[Connection], T]
    future: asyncio.Future[T]
    since: float  # when it was handed in, on the loop's clock
    collisions: int = 0  # how often it got into another coordinator's way
    answer: T | None = None
    error: Exception | None = None

    def resolve(self) -> None:
        """Tell whoever waits; on the loop's thread."""
        if self.future.done():
            return  # nobody waits any more; what was written stays written
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.answer)  # type: ignore[arg-type]  # set when there is no error


class Writer:
    """Performs operations in the order they came; one commit for all that have gathered."""

    def __init__(self, room: Room, refused: Callable[[Trouble], None] = lambda _: None) -> None:
        self._room = room
        self._engine = room.writing
        self._errors = (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error)
        self._refused = refused  # told of faults of the machine, on the loop's thread
        self._waiting: SimpleQueue[_Entry[object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._unanswered: deque[_Entry[object]] = deque()  # in the order they were handed in
        self._closing = threading.Event()
        self._untidy = UNTIDY
        self.commits = 0
        self._thread.start()

    def submit(self, operation: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Hand an operation in; the future is done when it is on the disk, or has failed."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closing.is_set():
            future.set_exception(LedgerClosedError(f"{self._room.name}: the ledger is closed"))
        else:
            entry = _Entry(operation, future, self._loop.time())
            self._unanswered.append(entry)  # type: ignore[arg-type]  # any T will do
            self._waiting.put(entry)  # type: ignore[arg-type]
        return future

    @property
    def unwritten(self) -> float:
        """For how many seconds the oldest write has had no answer; endless if the thread died."""
        if not (self._thread.is_alive() or self._closing.is_set()):
            return math.inf
        return self._loop.time() - self._unanswered[0].since if self._unanswered else 0.0

    async def close(self) -> None:
        """Write what was handed in, then end the thread; may be called twice."""
        if not self._closing.is_set():
            self._closing.set()
            self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._gather()
            self._commit(batch)
            with contextlib.suppress(RuntimeError):  # the loop is gone, and all who waited
                self._loop.call_soon_threadsafe(self._resolve, batch)

    def _gather(self) -> tuple[list[_Entry[object]], bool]:
        """Wait for an entry and take all there are; the flag says that they are the last."""
        batch: list[_Entry[object]] = []
        entry = self._waiting.get()
        with contextlib.suppress(Empty):
            while entry is not None:
                batch.append(entry)
                entry = self._waiting.get_nowait()
            return batch, True
        return batch, False

    def _commit(self, batch: Sequence[_Entry[object]]) -> None:
        """Perform a batch in one transaction, and what failed by a collision once more."""
        while batch:
            self._transact(batch)
            self.commits += 1
            collided = [entry for entry in batch if self._shall_try_again(entry)]
            for entry in batch:
                if isinstance(entry.error, self._errors):
                    entry.error = self._room.explain(entry.error)
            batch = collided

    def _transact(self, batch: Sequence[_Entry[object]]) -> None:
        mark, is_complete = None, False
        try:
            with self._engine.connect() as connection, connection.begin():
                mark = self._room.begin(connection)
                savepoints = connection.connection.cursor()
                for entry in batch:
                    self._perform(connection, savepoints, entry)
                self._tidy(connection, len(batch))
                is_complete = True
        except (*self._errors, LedgerError) as error:
            if is_complete and mark is not None and self._was_committed(mark):
                return  # only the answer to the commit was lost
            # The transaction is gone, and with it what seemed to have gone well in it.
            why = error if isinstance(error, LedgerError) else self._room.explain(error)
            for entry in batch:
                entry.error = why

    def _tidy(self, connection: Connection, performed: int) -> None:
        self._untidy += performed
        if self._untidy >= UNTIDY:
            self._room.tidy(connection)
            self._untidy = 0

    def _was_committed(self, mark: int) -> bool:
        """Ask until somebody knows: to say no would have it done twice."""
        while True:
            try:
                return self._room.is_committed(mark)
            except LedgerError as error:
                if error.trouble is not None:
                    with contextlib.suppress(RuntimeError):
                        self._loop.call_soon_threadsafe(self._refused, error.trouble)
            if self._closing.wait(PATIENCE):
                return False

    def _shall_try_again(self, entry: _Entry[object]) -> bool:
        if entry.error is None or not self._room.is_passing(entry.error):
            return False
        entry.collisions += 1
        if entry.collisions > COLLISIONS:
            return False
        entry.error = None
        return True

    def _perform(
        self, connection: Connection, savepoints: DBAPICursor, entry: _Entry[object]
    ) -> None:
        savepoints.execute("SAVEPOINT operation")
        try:
            entry.answer = entry.operation(connection)
        except Exception as error:  # noqa: BLE001 - handed to the caller; the neighbours go on
            entry.error = error
            try:
                savepoints.execute("ROLLBACK TO operation")
            except self._errors as undone:
                # A full disk has undone the whole transaction by itself. Whatever it was, only a
                # database's error leaves here: any other would end the thread.
                raise (error if isinstance(error, self._errors) else undone) from None
        savepoints.execute("RELEASE operation")

    def _resolve(self, batch: Sequence[_Entry[object]]) -> None:
        for entry in batch:
            self._unanswered.popleft()
            if isinstance(entry.error, LedgerError) and entry.error.trouble is not None:
                self._refused(entry.error.trouble)
            entry.resolve()
