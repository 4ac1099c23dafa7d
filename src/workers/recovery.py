"""How a worker waits for a machine that is at fault: how often it looks, and when it doubts a job.

Pure. A fault that comes back as soon as jobs run again is looked at less and less often; one job
that succeeds ends that. A job is believed that the machine is at fault until that is refuted: by
the check, or by other jobs that are done.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from consumers.jobs import Faults
from consumers.outcome import Failure

FIRST_PAUSE = 5.0  # seconds
LONGEST_PAUSE = 60.0
# A machine found well right after a job had met its fault, so many times with the same job: the
# job is too much for the machine.
DOUBTS = 3
# So many faults of one job, while its processor's own check finds nothing: whatever they are, the
# check will never see them. With the pauses between them that takes minutes.
PATIENCE = 10
# What a job can bring about by itself. A missing program it cannot.
ITS_OWN_DOING = frozenset({"disk_full", "exhausted", "media_unwritable"})
NONE_BEFORE = Faults()


@dataclass(frozen=True, slots=True)
class Recovery:
    """How far a worker trusts its machine."""

    pause: float = FIRST_PAUSE  # seconds between two looks
    is_proven: bool = True  # no fault so far, or a job succeeded since the last one


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a job that met a fault, and what against it."""

    is_checked: bool = False  # there is a check, and it finds the machine well
    is_held: bool = False  # another job met a fault, and the hold for that lasts
    met: int = 0  # how often that check contradicted this job here, this time included
    faults: Faults = NONE_BEFORE  # in its runs before, whichever worker had them


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


def own_failure(failure: Failure, evidence: Evidence) -> Failure | None:
    """Return what counts as the job's own failure, None if it is believed to be the machine's."""
    faults = evidence.faults
    if evidence.is_checked and is_to_blame(failure.code, met=evidence.met):
        return failure
    if not evidence.is_held and faults.refuted + 1 >= DOUBTS:
        return _disbelieved(failure, f"after {faults.refuted} of them other jobs were done")
    if evidence.is_checked and faults.met + 1 >= PATIENCE:
        return _disbelieved(failure, "check_host finds nothing")
    return None


def _disbelieved(failure: Failure, why: str) -> Failure:
    said = f"taken for a fault of the machine each time before, but {why}"
    return replace(failure, hint=f"{failure.hint}; {said}" if failure.hint else said)
