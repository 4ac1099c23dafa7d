"""The one thread that writes, in group commits: what came while the last one ran is the next.

An operation is a function of a connection. Its answer is given when it is on the disk; each has
a savepoint of its own, so that one that fails leaves its neighbours alone.
"""

import asyncio
import contextlib
import math
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import SQLAlchemyError

from supervisor.core.troubles import Trouble
from supervisor.ledger.database import explain, identity, vanished
from supervisor.ledger.errors import LedgerClosedError, LedgerError

T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[T]):
    """An operation, and then how it went."""

    operation: Callable[[Connection], T]
    future: asyncio.Future[T]
    since: float  # when it was handed in, on the loop's clock
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

    def __init__(
        self, engine: Engine, path: Path, refused: Callable[[Trouble], None] = lambda _: None
    ) -> None:
        self._engine = engine
        self._path = path
        self._file = identity(path)
        self._refused = refused  # told of faults of the machine, on the loop's thread
        self._waiting: SimpleQueue[_Entry[object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._unanswered: deque[_Entry[object]] = deque()  # in the order they were handed in
        self._closing = False
        self.commits = 0
        self._thread.start()

    def submit(self, operation: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Hand an operation in; the future is done when it is on the disk, or has failed."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closing:
            future.set_exception(LedgerClosedError(f"{self._path}: the ledger is closed"))
        else:
            entry = _Entry(operation, future, self._loop.time())
            self._unanswered.append(entry)  # type: ignore[arg-type]  # any T will do
            self._waiting.put(entry)  # type: ignore[arg-type]
        return future

    @property
    def unwritten(self) -> float:
        """For how many seconds the oldest write has had no answer; endless if the thread died."""
        if not (self._thread.is_alive() or self._closing):
            return math.inf
        return self._loop.time() - self._unanswered[0].since if self._unanswered else 0.0

    async def close(self) -> None:
        """Write what was handed in, then end the thread; may be called twice."""
        if not self._closing:
            self._closing = True
            self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        with self._engine.connect() as connection:
            is_last = False
            while not is_last:
                batch, is_last = self._gather()
                self._write(connection, batch)
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

    def _write(self, connection: Connection, batch: Sequence[_Entry[object]]) -> None:
        if not batch:
            return
        if identity(self._path) == self._file:
            self._commit(connection, batch)
        else:
            # SQLite would go on writing into a file that nobody will ever open again.
            for entry in batch:
                entry.error = vanished(self._path)

    def _commit(self, connection: Connection, batch: Sequence[_Entry[object]]) -> None:
        try:
            with connection.begin():
                savepoints = connection.connection.cursor()
                for entry in batch:
                    self._perform(connection, savepoints, entry)
        except (SQLAlchemyError, sqlite3.Error) as error:
            # The transaction is gone, and with it what seemed to have gone well in it.
            for entry in batch:
                entry.error = explain(self._path, error)
        self.commits += 1
        for entry in batch:
            if isinstance(entry.error, SQLAlchemyError):
                entry.error = explain(self._path, entry.error)

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
            except self._engine.dialect.loaded_dbapi.Error as undone:
                # A full disk has undone the whole transaction by itself. Whatever it was, only a
                # database's error leaves here: any other would end the thread.
                is_known = isinstance(error, SQLAlchemyError | sqlite3.Error)
                raise (error if is_known else undone) from None
        savepoints.execute("RELEASE operation")

    def _resolve(self, batch: Sequence[_Entry[object]]) -> None:
        for entry in batch:
            self._unanswered.popleft()
            if isinstance(entry.error, LedgerError) and entry.error.trouble is not None:
                self._refused(entry.error.trouble)
            entry.resolve()
