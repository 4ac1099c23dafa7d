"""The desk for jobs that people steer: run again, cancelled, removed, run now, more urgent."""

from datetime import datetime
from typing import Protocol

import msgspec

from supervisor.core.records import JobRecord


class PriorityOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How urgent a job is to be: the body of ``PUT /api/jobs/{id}/priority``."""

    priority: int | str  # a name, or a number that its pool knows


class JobPlace(msgspec.Struct, frozen=True, rename="camel"):
    """Where a waiting job stands: 1 is next. None: not known, or it does not stand in line.

    ``is_approximate``: other programs publish into its queue too, and nobody numbers those.
    """

    position: int | None = None
    starts_at: datetime | None = None  # an estimate, from how long the latest jobs took
    is_approximate: bool = False


class JobStatus(msgspec.Struct, frozen=True):
    """A job in the few words that other job systems have for it; moments are ms since 1970."""

    id: str
    name: str
    data: object
    state: str
    progress: float  # 0 to 100
    attempts_made: int = msgspec.field(name="attemptsMade")
    processed_on: int | None = msgspec.field(name="processedOn", default=None)
    finished_on: int | None = msgspec.field(name="finishedOn", default=None)
    returnvalue: object = None
    failed_reason: str | None = msgspec.field(name="failedReason", default=None)
    place: JobPlace | None = None  # while it waits


class Steering(Protocol):
    """Who steers jobs; each is named by its id, or the start of it that no other has.

    All return the job as it is then, raise UnknownJobError where there is none, and WrongStateError
    where its state does not allow it. The same wish again changes nothing more.
    """

    async def retry(self, job_id: str) -> JobRecord:
        """Run a failed or cancelled job again, with a clean count of attempts and crashes."""

    async def cancel(self, job_id: str) -> JobRecord:
        """Have a job not run, or stop its run: its processor is asked, then ended."""

    async def remove(self, job_id: str) -> JobRecord:
        """Have a waiting job not run, and forget it; or a finished one."""

    async def promote(self, job_id: str) -> JobRecord:
        """Run a delayed job now."""

    async def reprioritize(self, job_id: str, level: int | str) -> JobRecord:
        """Have a job that waits be more urgent, or less. Raises BadOrderError for no such level."""

    async def status(self, job_id: str) -> JobStatus:
        """Return a job in few words, and where it stands."""
