"""A desk for steering that only changes the state of what it knows: for tests of the doors."""

from collections.abc import Callable, MutableMapping

import msgspec

from consumers.errors import MalformedError
from consumers.jobs import priority_named
from supervisor.core.records import JobRecord, JobState, Relative
from supervisor.desks.steering import JobStatus
from supervisor.ports import BadOrderError, UnknownJobError, WrongStateError


class FakeSteering:
    """Implements ``desks.steering.Steering`` on the jobs of a fake house."""

    def __init__(self, known: Callable[[], MutableMapping[str, JobRecord]]) -> None:
        self._known = known

    async def retry(self, job_id: str) -> JobRecord:
        state = self._job(job_id).state
        if not state.is_final or state is JobState.COMPLETED:
            message = f"job {job_id} is {state.value}"
            raise WrongStateError(message)
        return self._changed(job_id, JobState.WAITING)

    async def cancel(self, job_id: str) -> JobRecord:
        job = self._job(job_id)
        if job.state is not JobState.COMPLETED:
            return self._changed(job_id, JobState.CANCELLED)
        for each in list(self._known().values()):
            if each.parent == Relative(job.queue, job.id) and not each.state.is_final:
                self._changed(each.id, JobState.CANCELLED)
        return job

    async def remove(self, job_id: str) -> JobRecord:
        return self._changed(job_id, JobState.REMOVED)

    async def promote(self, job_id: str) -> JobRecord:
        return self._changed(job_id, JobState.WAITING)

    async def reprioritize(self, job_id: str, level: int | str) -> JobRecord:
        job = self._job(job_id)
        try:
            priority = priority_named(level)
        except MalformedError as error:
            raise BadOrderError(str(error)) from error
        self._known()[job_id] = msgspec.structs.replace(job, priority=priority)
        return self._job(job_id)

    async def status(self, job_id: str) -> JobStatus:
        job = self._job(job_id)
        return JobStatus(job.id, job.name, job.data, job.state.value, job.progress, job.attempts)

    def _job(self, job_id: str) -> JobRecord:
        if job_id not in self._known():
            message = f"there is no job {job_id} in the ledger"
            raise UnknownJobError(message)
        return self._known()[job_id]

    def _changed(self, job_id: str, state: JobState) -> JobRecord:
        self._known()[job_id] = msgspec.structs.replace(self._job(job_id), state=state)
        return self._job(job_id)
