"""Which job people mean: by its id, or by the start of it that no other has."""

from supervisor.core.records import JobRecord
from supervisor.ledger.store import Ledger
from supervisor.ports import UnknownJobError

SHORTEST_START = 4  # characters of an id that may stand for all of it


async def find(ledger: Ledger, job_id: str) -> JobRecord:
    """Return one job with its history. Raises UnknownJobError."""
    record = await ledger.show(job_id)
    if record is None and len(job_id) >= SHORTEST_START:
        record = await _only_one(ledger, job_id)
    if record is None:
        why = f"no job {job_id} in the ledger: `jobs` lists those there are"
        if len(job_id) < SHORTEST_START:
            why = f"{why}; of a longer id write {SHORTEST_START} characters or more"
        raise UnknownJobError(why)
    return record


def gone(job_id: str) -> UnknownJobError:
    """Return what is said of a job that was there a moment ago."""
    return UnknownJobError(f"no job {job_id} in the ledger any more: it was just removed")


async def _only_one(ledger: Ledger, start: str) -> JobRecord | None:
    found, count = await ledger.beginning_with(start)
    if count > 1:
        why = f"{count} jobs have ids that begin with {start}: write more of it"
        raise UnknownJobError(why)
    return None if found is None else await ledger.show(found)
