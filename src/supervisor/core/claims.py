"""What becomes of a delivery that a worker would like to run, by what is known of its job.

Copies of a job are numbered. The ledger commits the next number before the copy is published, so
a delivery with a lower number is either *stale* (the newer copy is confirmed) or the only one
there is (its copy was never confirmed), and then the copy is made again. Of a *pending* job the
ledger itself is the newest copy: it will be published, whatever happens.
"""

from dataclasses import dataclass

from consumers.desk import Claim, Condemn, Drop, Later, Move, Run, Verdict
from consumers.retry import fault_delay, suspect_delay
from supervisor.core.convictions import convict, needs_room
from supervisor.core.records import JobState, Known, PoolCard

SETTLED = "settled"
STALE = "stale"


@dataclass(frozen=True, slots=True)
class Wait:
    """The job is running right now: answer the claim when that run has ended."""

    job_id: str
    worker: str
    is_elsewhere: bool = False  # on another machine: it has to be looked up now and then
    attempts: int = 0  # that failed so far


def judge(
    claim: Claim, known: Known | None, *, running_on: str | None, pool: PoolCard, new_id: str
) -> Verdict | Wait:
    """Return what the consumer is to do with its delivery.

    Args:
        claim: the delivery.
        known: the job as committed, None if this is the first time it is seen.
        running_on: the worker that runs this very job now, if one does.
        pool: the pool of the worker that asks.
        new_id: the id for a job that has none.
    """
    if running_on is not None and (known is None or not known.state.is_final):
        # Not known and running: it was granted a moment ago and is not committed yet.
        return Wait(new_id if known is None else known.id, running_on)
    if known is None:
        return Run(claim.job_id or new_id, attempts=claim.attempts, seq=claim.seq)
    if known.state.is_final:
        return _judge_final(claim, known)
    is_old = claim.seq < known.seq
    if known.elsewhere and not (is_old and known.confirmed):
        attempts = _attempts(claim, known)
        return Wait(known.id, known.elsewhere, is_elsewhere=True, attempts=attempts)
    return _judge_old_copy(claim, known, pool) if is_old else _judge_due(claim, known, pool)


def _judge_final(claim: Claim, known: Known) -> Verdict:
    match known.state:
        case JobState.CANCELLED | JobState.REMOVED:
            return Drop(known.id, known.state.value)
        case JobState.FAILED if claim.seq > known.seq:
            # Somebody had it replayed: it begins anew, but what it did is not forgotten.
            return Run(known.id, attempts=claim.attempts, seq=claim.seq, alone=known.was_blamed)
        case _:
            return Drop(known.id, SETTLED)


def _judge_old_copy(claim: Claim, known: Known, pool: PoolCard) -> Verdict:
    if known.confirmed or known.state is JobState.PENDING:
        return Drop(known.id, STALE)  # the newer copy is stored, or is going to be, by us
    why = f"copy {known.seq} was never confirmed"
    other = _other_pool(known, pool)
    if other is not None:
        return _move(claim, known, to=other, why=why)
    delay = suspect_delay(known.deaths) if _is_suspect(known) else 0.0
    return _later(claim, known, delay=delay, why=why)


def _judge_due(claim: Claim, known: Known, pool: PoolCard) -> Verdict:
    other = _other_pool(known, pool)
    if other is None and needs_room(known):
        other = pool.roomier
    failure = known.given_up or (convict(known, pool) if other is None else None)
    if failure is not None:
        return Condemn(known.id, failure, attempts=_attempts(claim, known))
    if other is not None:
        return _move(claim, known, to=other, why=known.crash)
    if _is_suspect(known):
        delay = suspect_delay(known.deaths)
        return _later(claim, known, delay=delay, why=f"its worker died: {known.crash}")
    if _must_step_back(known):
        delay = fault_delay(known.faults.met)
        return _later(claim, known, delay=delay, why="it met faults of the machine: others first")
    return _run(claim, known)


def _other_pool(known: Known, pool: PoolCard) -> PoolCard | None:
    """Return the pool a job was moved to, if a worker of an earlier one meets it.

    A pool that is not on the way any more (the configuration has changed) does not count.
    """
    if known.moved_to in {"", pool.name}:
        return None
    on_the_way = pool.roomier
    while on_the_way is not None and on_the_way.name != known.moved_to:
        on_the_way = on_the_way.roomier
    return on_the_way


def _run(claim: Claim, known: Known) -> Run:
    """Let it run, alone if a worker died of it: then nothing else can be blamed for it."""
    seq = max(claim.seq, known.seq)
    attempts, alone = _attempts(claim, known), known.was_blamed
    return Run(known.id, attempts=attempts, seq=seq, alone=alone, faults=known.faults)


def _move(claim: Claim, known: Known, *, to: PoolCard, why: str) -> Move:
    following = max(claim.seq, known.seq) + 1
    attempts = _attempts(claim, known)
    return Move(known.id, to.name, to.queues.priority, following, attempts=attempts, why=why)


def _later(claim: Claim, known: Known, *, delay: float, why: str) -> Later:
    """Order the next copy. Its number is above all others: the lost one may yet turn up."""
    following = max(claim.seq, known.seq) + 1
    return Later(known.id, delay, following, attempts=_attempts(claim, known), why=why)


def _is_suspect(known: Known) -> bool:
    return known.deaths > 0 and not known.suspect_cleared


def _must_step_back(known: Known) -> bool:
    """Answer whether others go first, from its second fault on.

    What is given back stays at the head of its queue: if this job itself brings the fault about,
    nobody behind it would ever show that the machine is well.
    """
    return known.is_straight_back and known.faults.met > 1


def _attempts(claim: Claim, known: Known) -> int:
    return max(claim.attempts, known.attempts)
