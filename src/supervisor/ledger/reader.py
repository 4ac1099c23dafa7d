"""The thread that reads, on a connection of its own: it sees all that is committed."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from supervisor.core.troubles import Trouble
from supervisor.ledger.errors import LedgerClosedError, LedgerError
from supervisor.ledger.rooms import Room

T = TypeVar("T")


class Reader:
    """Answers questions one after the other."""

    def __init__(self, room: Room, refused: Callable[[Trouble], None] = lambda _: None) -> None:
        self._room = room
        self._engine = room.reading
        self._refused = refused  # told of faults of the machine, on the loop's thread
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-reader")
        self._is_closed = False

    async def ask(self, question: Callable[[Connection], T]) -> T:
        """Return the answer to a question."""
        if self._is_closed:
            message = f"{self._room.name}: the ledger is closed"
            raise LedgerClosedError(message)
        asked = asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)
        try:
            return await asked
        except LedgerError as error:
            if error.trouble is not None:
                self._refused(error.trouble)
            raise

    async def close(self) -> None:
        """Answer what was asked, then end the thread; may be called twice."""
        self._is_closed = True
        await asyncio.to_thread(self._thread.shutdown)

    def _answer(self, question: Callable[[Connection], T]) -> T:
        try:
            try:
                return self._look_up(question)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return self._look_up(question)  # it was lost while nobody asked
        except (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error) as error:
            raise self._room.explain(error) from error

    def _look_up(self, question: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return question(connection)
