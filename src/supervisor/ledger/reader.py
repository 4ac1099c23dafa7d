"""The thread that reads, on a connection of its own: it sees all that is committed."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from supervisor.core.troubles import Trouble
from supervisor.ledger.database import explain
from supervisor.ledger.errors import LedgerClosedError, LedgerError

T = TypeVar("T")


class Reader:
    """Answers questions one after the other."""

    def __init__(
        self, engine: Engine, path: Path, refused: Callable[[Trouble], None] = lambda _: None
    ) -> None:
        self._engine = engine
        self._path = path
        self._refused = refused  # told of faults of the machine, on the loop's thread
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-reader")
        self._is_closed = False

    async def ask(self, question: Callable[[Connection], T]) -> T:
        """Return the answer to a question."""
        if self._is_closed:
            message = f"{self._path}: the ledger is closed"
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
            with self._engine.begin() as connection:
                return question(connection)
        except SQLAlchemyError as error:
            raise explain(self._path, error) from error
