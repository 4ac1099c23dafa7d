"""What a user is told about a chain: one notice a sink for all of it, when all of it has ended.

Told is the user of its first job, as that one asked for it. However large a chain is, its notice is
not: what has no room in it is counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from consumers.outcome import Failure
from supervisor.core.notices import (
    COMPLETED,
    FAILED,
    Texts,
    Told,
    Wrong,
    facts_of,
    files_of,
    for_each,
    in_words,
    is_told,
    kinds_of,
    reason_of,
    results_of,
    shown,
    told_of,
    wrong,
)
from supervisor.core.records import Chain, JobRecord, JobState, Notice
from supervisor.core.schedules import EPOCH

MOST_RESULTS = 1000
MOST_FAILURES = 100
LARGEST = 500_000  # bytes of results

_NO_REASON = Failure("")


@dataclass(frozen=True, slots=True)
class Whole:
    """A chain that is over: how it stands, some of its other jobs, and when that was found."""

    root: JobRecord
    chain: Chain
    members: Sequence[JobRecord]  # those that failed first, then the others, each oldest first
    at: datetime


class _Failed(msgspec.Struct, frozen=True):
    """One job of a chain that failed."""

    id: str
    pool: str
    code: str
    message: str
    hint: str


class _LeftOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many there are besides what is said; of ``jobs`` neither results nor failures are."""

    results: int = 0
    failures: int = 0
    jobs: int = 0


class _Chain(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How a chain ended, as a webhook's receiver sees it."""

    total: int
    completed: int
    failed: int
    cancelled: int
    removed: int
    failures: tuple[_Failed, ...]
    finished_at: datetime
    left_out: _LeftOut | None = None


class _Body(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The webhook's body: as for one job, with the results of all, and with ``chain``."""

    event: str
    job: Told
    sender: str = msgspec.field(name="from")
    queue_name: str
    results: tuple[object, ...]
    chain: _Chain
    error: Wrong | None = None  # of the first job that failed


def write_chain(whole: Whole, *, sinks: Sequence[str], texts: Texts) -> tuple[Notice, ...]:
    """Return what the user of a chain's first job is told about all of it, once for each sink."""
    root = whole.root
    if not is_told(root):
        return ()
    event = FAILED if _count(whole.chain, JobState.FAILED) else COMPLETED
    notice = Notice(
        # It may begin again, when a job of it is retried, and end again: each end has its key.
        key=f"{root.queue}:{root.id}:chain:{(whole.at - EPOCH) // timedelta(microseconds=1)}",
        event=event,
        sink="",
        queue=root.queue,
        job_id=root.id,
        sender=root.sender,
        text=_sentence(whole, texts),
        body=_body(event, whole),
        due_at=whole.at,
    )
    return for_each(sinks, notice)


def _body(event: str, whole: Whole) -> bytes:
    root, chain = whole.root, whole.chain
    results = tuple(result for job in _completed(whole) for result in results_of(job.result or {}))
    kept = _fitting(results)
    failed = _failed(whole)
    left_out = _LeftOut(
        results=len(results) - len(kept),
        failures=_count(chain, JobState.FAILED) - len(failed[:MOST_FAILURES]),
        jobs=_unlisted(whole),
    )
    summary = _Chain(
        total=sum(chain.states.values()),
        completed=_count(chain, JobState.COMPLETED),
        failed=_count(chain, JobState.FAILED),
        cancelled=_count(chain, JobState.CANCELLED),
        removed=_count(chain, JobState.REMOVED),
        failures=tuple(_told(job) for job in failed[:MOST_FAILURES]),
        finished_at=max(
            (job.finished_at for job in _jobs(whole) if job.finished_at), default=whole.at
        ),
        left_out=None if left_out == _LeftOut() else left_out,
    )
    body = _Body(
        event=event,
        job=told_of(root),
        sender=root.sender,
        queue_name=root.queue,
        results=kept,
        chain=summary,
        error=wrong(failed[0].error or _NO_REASON) if failed else None,
    )
    return msgspec.json.encode(body)


def _told(job: JobRecord) -> _Failed:
    error = job.error or _NO_REASON
    return _Failed(job.id, job.pool, error.code, shown(error.message), shown(error.hint))


def _sentence(whole: Whole, texts: Texts) -> str:
    failed, ended = _failed(whole), _count(whole.chain, JobState.CANCELLED, JobState.REMOVED)
    files, kinds = _files(whole)
    if _count(whole.chain, JobState.FAILED):
        key = "chain.failed" if failed else "chain.unknown"
    elif ended:
        key = "chain.cancelled"
    else:
        key = "chain.completed"
    if key == "chain.completed" and (not files or _unlisted(whole)) and "{files}" in texts[key]:
        key = "chain.nothing"
    reason = (failed[0].error if failed else None) or _NO_REASON
    facts = {
        "files": in_words(files, kinds, texts) if files else "",
        "count": str(sum(whole.chain.states.values())),
        "failed": str(_count(whole.chain, JobState.FAILED)),
        "cancelled": str(ended),
        "reason": reason_of(reason, texts),
        "first": shown(failed[0].pool) if failed else "",
    }
    return texts[key].format_map(facts_of(whole.root) | facts)


def _files(whole: Whole) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the files of a chain, and what kind each is."""
    results = [job.result or {} for job in _completed(whole)]
    files = [file for result in results for file in files_of(result)]
    kinds = {path: kind for result in results for path, kind in kinds_of(result).items()}
    return tuple(files), kinds


def _fitting(results: Sequence[object]) -> tuple[object, ...]:
    """Return the first results, as many as there is room for."""
    kept, size = 0, 0
    for result in results[:MOST_RESULTS]:
        size += len(msgspec.json.encode(result))
        if size > LARGEST:
            break
        kept += 1
    return tuple(results[:kept])


def _jobs(whole: Whole) -> Iterator[JobRecord]:
    """Yield the jobs that are known one by one, the first of the chain first."""
    yield whole.root
    key = (whole.root.queue, whole.root.id)
    yield from (job for job in whole.members if (job.queue, job.id) != key)


def _completed(whole: Whole) -> Iterator[JobRecord]:
    return (job for job in _jobs(whole) if job.state is JobState.COMPLETED)


def _failed(whole: Whole) -> list[JobRecord]:
    return [job for job in _jobs(whole) if job.state is JobState.FAILED]


def _unlisted(whole: Whole) -> int:
    return sum(whole.chain.states.values()) - sum(1 for _ in _jobs(whole))


def _count(chain: Chain, *states: JobState) -> int:
    return sum(chain.states.get(state, 0) for state in states)
