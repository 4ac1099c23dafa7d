"""What running jobs say of themselves: progress and lines, gathered and written now and then.

Only the newest progress of a job is worth a write; while one write is under way, the rest waits.
A power cut may lose the last of it. What a job says faster than it can be written is dropped:
outcomes are written by the same thread, and must not wait for it.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, bindparam, insert, update

from consumers import logs
from consumers.clock import Clock
from supervisor.core.records import JobState
from supervisor.ledger.conditions import THIS_JOB, job_key
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.tables.jobs import job_lines, jobs
from supervisor.ledger.values import stamp
from supervisor.ledger.writer import Writer

WAITING = 2_000  # lines, and as many jobs' progress, that may wait for a write
LONGEST = 4_000  # characters of a line that are kept

log = logs.get(__name__)

Row = dict[str, object]

_progress = (
    update(jobs)
    .where(THIS_JOB, jobs.c.state == JobState.ACTIVE.value)
    .values(progress=bindparam("the_percent"), note=bindparam("the_note"))
)
_line = insert(job_lines)


class Journal:
    """Gathers progress and lines while the last of them are being written."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock
        self._progress: dict[tuple[str, str], Row] = {}
        self._lines: list[Row] = []
        self._write: asyncio.Future[None] | None = None
        self._has_told = False  # that something was dropped

    def progress(self, queue: str, job_id: str, percent: float, note: str) -> None:
        """Keep how far a running job is."""
        if len(self._progress) >= WAITING and (queue, job_id) not in self._progress:
            self._drop()
            return
        row = job_key(queue, job_id) | {"the_percent": percent, "the_note": note[:LONGEST]}
        self._progress[queue, job_id] = row
        self._start()

    def line(self, queue: str, job_id: str, text: str) -> None:
        """Keep a line that a job logged."""
        if len(self._lines) >= WAITING:
            self._drop()
            return
        now: datetime = self._clock.utcnow()
        row = {"queue": queue, "job_id": job_id, "at": stamp(now), "line": text[:LONGEST]}
        self._lines.append(row)
        self._start()

    def _drop(self) -> None:
        if not self._has_told:
            self._has_told = True
            log.warning("jobs say more than can be written, some of it is dropped")

    async def written(self) -> None:
        """Wait until all that was kept is written, or given up."""
        while self._write is not None:
            await asyncio.wait([self._write])

    def _start(self) -> None:
        if self._write is None:
            rows, self._progress = tuple(self._progress.values()), {}
            lines, self._lines = tuple(self._lines), []
            self._write = self._writer.submit(partial(_keep, rows=rows, lines=lines))
            self._write.add_done_callback(self._written)

    def _written(self, write: asyncio.Future[None]) -> None:
        self._write = None
        if not write.cancelled() and (error := write.exception()) is not None:
            if not (isinstance(error, LedgerError) and error.trouble):  # which is told of once
                log.warning("progress not kept", why=str(error))
        elif self._progress or self._lines:
            self._start()
        else:
            self._has_told = False  # we have caught up


def _keep(connection: Connection, *, rows: Sequence[Row], lines: Sequence[Row]) -> None:
    if rows:
        connection.execute(_progress, rows)
    if lines:
        connection.execute(_line, lines)
