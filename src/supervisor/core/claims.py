"""What becomes of a delivery that a worker would like to run, by what is known of its job.

Copies of a job are numbered. The ledger commits the next number before the copy is published, so
a delivery with a lower number is either *stale* (the newer copy is confirmed) or the only one
there is (its copy was never confirmed), and then the copy is made again.
"""

from dataclasses import dataclass

from consumers.desk import Claim, Condemn, Drop, Later, Run, Verdict
from consumers.outcome import Failure
from consumers.retry import suspect_delay
from supervisor.core.records import JobState, Known

WORKER_DIED = "worker_died"


@dataclass(frozen=True, slots=True)
class Wait:
    """The job is running here right now: answer the claim when that run has ended."""

    job_id: str
    worker: str


def judge(
    claim: Claim, known: Known | None, *, running_on: str | None, max_crashes: int, new_id: str
) -> Verdict | Wait:
    """Return what the consumer is to do with its delivery.

    Args:
        claim: the delivery.
        known: the job as committed, None if this is the first time it is seen.
        running_on: the worker that runs this very job now, if one does.
        max_crashes: how many workers a job may take down before it is a dead letter.
        new_id: the id for a job that has none.
    """
    if running_on is not None and (known is None or not known.state.is_final):
        # Not known and running: it was granted a moment ago and is not committed yet.
        return Wait(new_id if known is None else known.id, running_on)
    if known is None:
        return Run(claim.job_id or new_id, attempts=claim.attempts, seq=claim.seq)
    if known.state.is_final:
        return _judge_final(claim, known)
    if claim.seq < known.seq:
        return _judge_old_copy(claim, known)
    return _judge_due(claim, known, max_crashes)


def _judge_final(claim: Claim, known: Known) -> Verdict:
    match known.state:
        case JobState.CANCELLED | JobState.REMOVED:
            return Drop(known.id, known.state.value)
        case JobState.FAILED if claim.seq > known.seq:
            return _run(claim, known)  # somebody had it replayed
        case _:
            return Drop(known.id, "settled")


def _judge_old_copy(claim: Claim, known: Known) -> Verdict:
    if known.confirmed:
        return Drop(known.id, "stale")
    why = f"copy {known.seq} was never confirmed"
    delay = suspect_delay(known.crashes) if _is_suspect(known) else 0.0
    return _later(claim, known, delay=delay, why=why)


def _judge_due(claim: Claim, known: Known, max_crashes: int) -> Verdict:
    if known.given_up is not None:
        return Condemn(known.id, known.given_up, attempts=_attempts(claim, known))
    if 0 < max_crashes <= known.crashes:
        return Condemn(known.id, _died_too_often(known), attempts=_attempts(claim, known))
    if _is_suspect(known):
        delay = suspect_delay(known.crashes)
        return _later(claim, known, delay=delay, why=f"its worker died: {known.crash}")
    return _run(claim, known)


def _run(claim: Claim, known: Known) -> Run:
    return Run(known.id, attempts=_attempts(claim, known), seq=max(claim.seq, known.seq))


def _later(claim: Claim, known: Known, *, delay: float, why: str) -> Later:
    """Order the next copy. Its number is above all others: the lost one may yet turn up."""
    following = max(claim.seq, known.seq) + 1
    return Later(known.id, delay, following, attempts=_attempts(claim, known), why=why)


def _is_suspect(known: Known) -> bool:
    return known.crashes > 0 and not known.suspect_cleared


def _attempts(claim: Claim, known: Known) -> int:
    return max(claim.attempts, known.attempts)


def _died_too_often(known: Known) -> Failure:
    times = "once" if known.crashes == 1 else f"{known.crashes} times"
    return Failure(
        message=f"worker died {times} while running this job, last: {known.crash}",
        code=WORKER_DIED,
        hint="run it alone to see why, then replay it",
        permanent=True,
    )
