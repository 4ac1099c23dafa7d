"""What becomes of a parked copy, and of a delivery whose job is running already.

The copy outlives its worker, the coordinator and the broker. Whenever nobody here has its job in
hand it goes back to the pool's private lane, where a claim judges it like any other delivery.
"""

import enum

from consumers.desk import Claim, Drop, Park
from consumers.retry import RetryPolicy, retry_delay
from supervisor.core.records import Known

AGAIN = RetryPolicy(delay=1.0, max=30.0)  # for a copy whose fate could not be learnt or done


class Fate(enum.Enum):
    """What the coordinator does with a parked copy."""

    HOLD = "hold"  # its job is in hand
    DONE = "done"  # nobody needs it any more: ack it
    MOVE = "move"  # nobody has its job: back to the lane


def judge_parked(seq: int, known: Known | None, *, in_hand: bool) -> Fate:
    """Return what to do with parked copy ``seq``.

    Args:
        seq: its number.
        known: its job as committed; None if this ledger never met it.
        in_hand: the job runs here, or its outcome is being settled.
    """
    if known is not None and known.state.is_final and seq <= known.seq:
        return Fate.DONE
    if known is not None and seq < known.seq and known.confirmed:
        return Fate.DONE  # a newer one is stored
    return Fate.HOLD if in_hand else Fate.MOVE


def again(failed: int, *, roll: float) -> float:
    """Return the seconds until a copy is judged again, after ``failed`` (1 or more) vain tries.

    What is in the way is the ledger or the pool's lane, mostly for all copies at once: half of
    each wait is left to chance, so that they do not all come back in one moment.
    """
    return retry_delay(AGAIN, failed=failed, roll=roll)


def judge_running(claim: Claim, known: Known) -> Park | Drop:
    """Return what to do with one more delivery of a job that is running here.

    It is stale when a newer copy is stored. Otherwise it may be all that the broker has of the
    job, if the session that brought the first one is lost; so it is parked, under the next
    number, which the ledger gives.
    """
    if claim.seq < known.seq and known.confirmed:
        return Drop(known.id, "stale")
    return Park(known.id, known.seq + 1, attempts=max(claim.attempts, known.attempts))
