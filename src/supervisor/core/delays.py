"""From when on a job may run, and from when on it is on its way there. Pure.

A delay within the ladder's reach is served by the broker. What is further away waits in the ledger
first, and sets out when it has come near.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from consumers.topology import LONGEST_DELAY

FURTHEST = 3650 * 86_400.0  # seconds: ten years
# Whoever publishes it looks once in a while, and the clock may be put back meanwhile.
SETS_OUT = LONGEST_DELAY - 86_400.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds until a job may run, and the moment before which it is not published."""

    delay: float
    post_at: datetime | None = None  # None: it is published at once


def timing(delay: float, run_at: datetime | None, *, now: datetime) -> Timing:
    """Return when a job is to run that was ordered for later; what has passed runs now.

    Raises:
        ValueError: naming the field and what is wrong with it.
    """
    if run_at is None:
        wanted, said = delay, "delay"
    elif delay:
        message = "delay: cannot be said together with runAt"
        raise ValueError(message)
    else:
        wanted, said = max((run_at - now).total_seconds(), 0.0), "runAt"
    if not 0 <= wanted <= FURTHEST:
        message = f"{said}: must be 0 to {FURTHEST:,.0f} seconds (ten years) from now"
        raise ValueError(message)
    if wanted <= LONGEST_DELAY:
        return Timing(wanted)
    return Timing(wanted, now + timedelta(seconds=wanted - SETS_OUT))
