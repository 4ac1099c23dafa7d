"""How a worker waits for a machine that is at fault: how often it looks, and when it doubts a job.

Pure. A fault that comes back as soon as jobs run again is looked at less and less often; one job
that succeeds ends that.
"""

from dataclasses import dataclass

FIRST_PAUSE = 5.0  # seconds
LONGEST_PAUSE = 60.0
# A machine found well right after a job had met its fault, so many times with the same job: the
# job is too much for the machine.
DOUBTS = 3
# What a job can bring about by itself. A missing program it cannot.
ITS_OWN_DOING = frozenset({"disk_full", "exhausted", "media_unwritable"})


@dataclass(frozen=True, slots=True)
class Recovery:
    """How far a worker trusts its machine."""

    pause: float = FIRST_PAUSE  # seconds between two looks
    is_proven: bool = True  # no fault so far, or a job succeeded since the last one


def fallen(recovery: Recovery) -> Recovery:
    """Return what follows from a fault met while all seemed well."""
    pause = FIRST_PAUSE if recovery.is_proven else min(2 * recovery.pause, LONGEST_PAUSE)
    return Recovery(pause, is_proven=False)


def is_to_blame(code: str, *, met: int) -> bool:
    """Answer whether it is the job after all.

    Args:
        code: of the fault it met.
        met: how often it did while the machine was found well right afterwards.
    """
    return code in ITS_OWN_DOING and met >= DOUBTS
