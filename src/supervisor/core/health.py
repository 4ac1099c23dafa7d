"""When a process has to go, in words, and who is to blame for a dead one.

| the worker is ended because of                        | blamed is                   |
|-------------------------------------------------------|-----------------------------|
| a job over its timeout, a cancelled job that goes on  | that job                    |
| silence (a hang), the hard memory limit, words that   | every job it had started    |
| cannot be understood                                  |                             |
| nothing: it died by itself                            | every job it had started    |
| the soft memory limit, CPU, its age, an operator, a   | none                        |
| reload, its own wish, a stop                          |                             |

A process that dies by itself while it drains died by itself, unless it left in order or at a
signal that asks for it. Nobody is blamed for such a signal (somebody sent it from outside), nor
for a lost exit status, nor when the process gave its jobs back before it left in order.
"""

from dataclasses import replace

from supervisor.core.commands import Cause
from supervisor.core.events import Exit, StartedJob
from supervisor.core.fleet import Condemned, Deadline, Death, Due, Ending, PoolPolicy, Worker

_MEGABYTE = 1_000_000


def overdue(worker: Worker, policy: PoolPolicy, now: float) -> Condemned | None:
    """Return the verdict on a process that did not do something in time, if there is one."""
    passed = [late for late in worker.deadlines(policy) if late.at <= now]
    for late in sorted(passed, key=_gravity):
        verdict = _verdict_on(late, worker, policy, now)
        if verdict is not None:
            return verdict
    return None


def stalled(worker: Worker, policy: PoolPolicy, now: float) -> str:
    """Return why a process's jobs are stalled, to be told now; empty if they are not, or it was.

    Silence alone stalls a job, however long it runs; its worker may still come round.
    """
    due = [late for late in worker.deadlines(policy) if late.due is Due.STALL and late.at <= now]
    if not due or worker.last_beat is None:
        return ""
    return f"its worker has not beaten for {_seconds(now - worker.last_beat)}"


def weigh(worker: Worker, policy: PoolPolicy, now: float) -> Condemned | None:
    """Return the verdict on what a process uses, if it is too much."""
    memory = worker.memory
    if policy.memory_hard is not None and memory > policy.memory_hard:
        return Condemned(Cause.MEMORY, _too_big(memory, policy.memory_hard), Ending.KILL)
    if policy.memory_soft is not None and memory > policy.memory_soft:
        return Condemned(Cause.MEMORY, _too_big(memory, policy.memory_soft), Ending.DRAIN)
    return _too_busy(worker, policy, now)


def with_measures(
    worker: Worker, policy: PoolPolicy, *, memory: int, cpu: float, now: float
) -> Worker:
    """Return the worker with what it uses now, and since when that is too much of a processor."""
    since = None
    if policy.max_cpu is not None and cpu > policy.max_cpu:
        since = now if worker.cpu_high_since is None else worker.cpu_high_since
    return replace(worker, memory=memory, cpu=cpu, cpu_high_since=since)


def ignored_cancel(job: StartedJob) -> Condemned:
    """Return the verdict on a process whose job goes on although it was cancelled."""
    why = f"job {job.id} was cancelled and did not stop"
    return Condemned(Cause.OPERATOR, why, Ending.DUMP_AND_KILL)  # by wish: nobody is to blame


def not_understood(why: str) -> Condemned:
    """Return the verdict on a process that can be heard no more."""
    return Condemned(Cause.CRASH, f"it cannot be understood any more: {why}", Ending.KILL)


def autopsy(worker: Worker, exit_: Exit) -> Death:
    """Return what a process died of, and who is to blame."""
    verdict = worker.condemned
    if verdict is None or _died_by_itself(verdict, exit_):
        return _crash(worker, exit_)
    blamed = _blamed(worker, verdict)
    return Death(
        cause=verdict.cause,
        why=verdict.why,
        exit=exit_,
        is_planned=_is_planned(verdict),
        blamed=blamed,
        spared=tuple(job for job in worker.jobs if job not in blamed),
    )


def _verdict_on(late: Deadline, worker: Worker, policy: PoolPolicy, now: float) -> Condemned | None:
    match late.due:
        case Due.START | Due.STALL:
            return None  # not a fault: the next process is due, or a stalled job is told of
        case Due.LEAVE:
            return _overstayed(worker, policy)
        case Due.READY:
            waited = now - late.at + policy.start_timeout
            why = (
                f"not ready after {_seconds(waited)}, allowed are {_seconds(policy.start_timeout)}"
            )
            return Condemned(Cause.HANG, why, Ending.DUMP_AND_KILL)
        case Due.BEAT:
            allowed = policy.heartbeat_timeout
            why = f"no heartbeat for {_seconds(now - late.at + allowed)}"
            why = f"{why}, allowed are {_seconds(allowed)}"
            return Condemned(Cause.HANG, why, Ending.DUMP_AND_KILL)
        case Due.JOB:
            return _too_long(late, policy, now)


def _gravity(late: Deadline) -> int:
    """Sort what explains most first: a hung worker also keeps its job too long, and stays."""
    return (Due.BEAT, Due.READY, Due.JOB, Due.LEAVE, Due.STALL, Due.START).index(late.due)


def _overstayed(worker: Worker, policy: PoolPolicy) -> Condemned | None:
    if worker.condemned is None:
        return None
    why = f"{worker.condemned.why}; still there {_seconds(policy.stop_grace)} later"
    return replace(worker.condemned, why=why, ending=Ending.TERMINATE)


def _too_long(late: Deadline, policy: PoolPolicy, now: float) -> Condemned | None:
    if late.job is None:
        return None
    ran, allowed = _seconds(now - late.job.started_at), _seconds(policy.timeout)
    why = f"job {late.job.id} ran for {ran}, allowed are {allowed}"
    return Condemned(Cause.TIMEOUT, why, Ending.DUMP_AND_KILL, late.job)


def _too_busy(worker: Worker, policy: PoolPolicy, now: float) -> Condemned | None:
    since = worker.cpu_high_since
    if since is None or policy.max_cpu is None or now - since < policy.cpu_window:
        return None
    why = (
        f"used more than {policy.max_cpu:.0%} of a processor for {_seconds(now - since)}, "
        f"now {worker.cpu:.0%}"
    )
    return Condemned(Cause.CPU, why, Ending.DRAIN)


def _too_big(memory: int, limit: int) -> str:
    return f"uses {memory / _MEGABYTE:,.0f} MB, allowed are {limit / _MEGABYTE:,.0f} MB"


def _seconds(duration: float) -> str:
    return f"{duration:,.0f} s" if duration >= 10 else f"{duration:.3g} s"


def _died_by_itself(verdict: Condemned, exit_: Exit) -> bool:
    if verdict.ending is not Ending.DRAIN:
        return False
    return not (exit_.is_clean or exit_.is_unknown or exit_.was_asked)


def _crash(worker: Worker, exit_: Exit) -> Death:
    why = exit_.words if worker.condemned is None else f"{exit_.words}, while draining"
    if exit_.is_unknown or exit_.was_asked or (exit_.is_clean and worker.has_left):
        return Death(Cause.CRASH, why, exit_, is_planned=False, spared=worker.jobs)
    cause = Cause.MEMORY if exit_.is_out_of_memory else Cause.CRASH
    return Death(cause, why, exit_, is_planned=False, blamed=worker.jobs)


def _is_planned(verdict: Condemned) -> bool:
    match verdict.cause:
        case Cause.CRASH | Cause.HANG | Cause.TIMEOUT:
            return False
        case Cause.MEMORY:
            return verdict.ending is not Ending.KILL
        case Cause.CPU | Cause.LIFETIME | Cause.RELOAD | Cause.ERROR:
            return True
        case Cause.OPERATOR | Cause.SCALE | Cause.STOP:
            return True


def _blamed(worker: Worker, verdict: Condemned) -> tuple[StartedJob, ...]:
    if _is_planned(verdict):
        return ()
    if verdict.culprit is None:
        return worker.jobs
    return tuple(job for job in worker.jobs if job == verdict.culprit)
