"""What follows a death: a new process at once, later, or never.

- A planned replacement (soft memory limit, CPU, operator, the worker's own wish after a critical
  error) starts at once.
- A first crash waits ``delay`` (5 s). Each further one waits twice as long, half of it left to
  chance so that workers that fell together do not rise together, up to ``max_delay`` (5 min).
- A crash that one job is to blame for waits ``delay`` and is not counted: the job is quarantined,
  the worker is innocent. A lost exit status is treated the same.
- A process that was ready for ``stable`` (60 s) starts again with a clean record.
- Exit code 78 with empty hands says "I cannot work like this" (processor missing, configuration
  wrong). Quick retries would only fill the log: the next one is after ``max_delay``, in case
  somebody has repaired it by then, and the worker is shown as ``failed`` until it runs.
- A worker that is above its memory limit before its first job would be replaced for ever: it
  waits as if it had crashed.
"""

from dataclasses import dataclass

from supervisor.core.commands import Cause
from supervisor.core.fleet import Death, PoolPolicy, RestartPolicy, Worker
from supervisor.core.lifecycle import Signal, WorkerState

CANNOT_WORK = 78  # EX_CONFIG of sysexits.h


@dataclass(frozen=True, slots=True)
class Plan:
    """The signal for the slot, and the seconds until its next process; None = no next process."""

    signal: Signal
    delay: float | None
    streak: int


def plan(worker: Worker, policy: PoolPolicy, death: Death, *, now: float, roll: float) -> Plan:
    """Return what follows the death of this worker's process.

    Args:
        worker: as it was when the process died.
        policy: the rules of its pool.
        death: what it died of.
        now: monotonic seconds.
        roll: a random number in [0, 1) for the jitter.
    """
    streak = 0 if _is_forgiven(worker, policy, death, now) else worker.streak
    if worker.state is WorkerState.STOPPING or _left_for_good(policy, death):
        return Plan(Signal.END, None, streak)
    if _cannot_work(death):
        return Plan(Signal.GIVE_UP, policy.max_delay, streak)
    if death.is_planned and not _is_futile(worker, death):
        return Plan(Signal.ORDER, 0.0, streak)
    if _is_innocent(death):
        return Plan(Signal.DIE, min(policy.delay, policy.max_delay), streak)
    return after_failure(policy, streak=streak + 1, roll=roll)


def after_failure(policy: PoolPolicy, *, streak: int, roll: float) -> Plan:
    """Return the plan after the ``streak``-th (1 or more) failure in a row."""
    return Plan(Signal.DIE, crash_delay(policy, streak=streak, roll=roll), streak)


def crash_delay(policy: PoolPolicy, *, streak: int, roll: float) -> float:
    """Return the seconds to wait after ``streak`` (1 or more) crashes in a row.

    The first delay is exact; the others keep half and roll for the other half.
    """
    doublings = min(max(streak, 1) - 1, 60)  # beyond 60 a float would only overflow
    delay = min(policy.delay * 2.0**doublings, policy.max_delay)
    return delay if doublings == 0 else delay / 2 + delay / 2 * roll


def _is_forgiven(worker: Worker, policy: PoolPolicy, death: Death, now: float) -> bool:
    if worker.ready_at is None:
        return False
    healthy_until = now
    if death.cause is Cause.HANG and worker.last_beat is not None:
        healthy_until = worker.last_beat  # the silence before a hang is noticed is no health
    return healthy_until - worker.ready_at >= policy.stable


def _left_for_good(policy: PoolPolicy, death: Death) -> bool:
    return policy.restart is RestartPolicy.ON_FAILURE and death.is_orderly


def _cannot_work(death: Death) -> bool:
    return death.cause is Cause.CRASH and death.exit.code == CANNOT_WORK and not death.blamed


def _is_futile(worker: Worker, death: Death) -> bool:
    return death.cause is Cause.MEMORY and not worker.has_worked


def _is_innocent(death: Death) -> bool:
    return len(death.blamed) == 1 or death.is_mystery
