"""How a process is brought to its end, and what its slot does once it is dead.

A verdict (`health`, an operator, a stop) condemns a process; commands end it; its death settles
who is blamed and what follows (`restart`). A drain can turn into something harder, never back.
"""

from collections.abc import Sequence
from dataclasses import replace

from supervisor.core import health, restart
from supervisor.core.commands import (
    Announce,
    Blame,
    Cause,
    Command,
    Drain,
    DumpAndKill,
    Kill,
    Record,
    Release,
    Spawn,
    Terminate,
)
from supervisor.core.events import Exit
from supervisor.core.fleet import Condemned, Death, Ending, PoolPolicy, Worker
from supervisor.core.lifecycle import Signal, WorkerState
from supervisor.core.records import Charge
from supervisor.core.restart import Plan

Step = tuple[Worker, tuple[Command, ...]]

# These replacements are for the house's good, so the job in hand is worth more: it may run to
# its end, which its own timeout bounds.
_PATIENT = frozenset({Cause.MEMORY, Cause.CPU, Cause.LIFETIME, Cause.SCALE})

_CHARGES = {Cause.MEMORY: Charge.MEMORY, Cause.TIMEOUT: Charge.TIMEOUT}

_OUTCOMES = {
    Signal.DIE: "crashed",
    Signal.GIVE_UP: "failed",
    Signal.END: "stopped",
    Signal.ORDER: "restarting",
}


def replace_process(worker: Worker, policy: PoolPolicy, verdict: Condemned, now: float) -> Step:
    """End a process so that another takes its place (in a slot that stops: so that none does)."""
    if not _is_harder(verdict, worker.condemned):
        return worker, ()
    return _condemn(_told(worker, verdict), policy, verdict, now)


def stop(worker: Worker, policy: PoolPolicy, verdict: Condemned, now: float) -> Step:
    """Bring a worker down for good, and whatever was planned for it to nothing."""
    if not worker.is_live:
        return _stay_down(worker, verdict.why)
    stopping = worker.after(Signal.STOP)
    if not _is_harder(verdict, worker.condemned):
        return _hurried(stopping, policy, now), ()
    return _condemn(stopping, policy, verdict, now)


def is_patient(worker: Worker) -> bool:
    """Answer whether the worker drains for as long as its job takes."""
    verdict = worker.condemned
    if verdict is None or verdict.ending is not Ending.DRAIN or verdict.cause not in _PATIENT:
        return False
    return worker.state is WorkerState.RESTARTING or verdict.cause is Cause.SCALE


def keep_going(worker: Worker, why: str) -> Worker:
    """Turn a stop into a restart: what is on its way out is replaced, what is coming may come."""
    going = worker.after(Signal.REPLACE)
    if worker.pid is None:
        return replace(going, condemned=None, kill_at=None)
    if going.condemned is None or going.condemned.cause not in (Cause.OPERATOR, Cause.SCALE):
        return going
    return replace(going, condemned=replace(going.condemned, why=why))


def order(worker: Worker, now: float) -> Step:
    """Have the next process of a slot started."""
    ordered = replace(
        worker.after(Signal.ORDER),
        incarnation=worker.incarnation + 1,
        ordered_at=now,
        restart_at=None,
    )
    return ordered, (Spawn(ordered.id, ordered.incarnation),)


def settle_death(
    worker: Worker, policy: PoolPolicy, exit_: Exit, *, now: float, roll: float
) -> Step:
    """Settle the death of a process: blame, record, and go on as the plan says."""
    if worker.condemned is not None:
        # The guess about a cause ("perhaps out of memory") is not for a death that we ordered.
        exit_ = replace(exit_, words=exit_.words.partition(", perhaps")[0])
    death = health.autopsy(worker, exit_)
    plan = restart.plan(worker, policy, death, now=now, roll=roll)
    slot = worker.without_process()
    slot = replace(slot, crash_count=slot.crash_count + death.is_crash)
    after, following = _carry_out(slot, plan, now)
    return after, (*_settled(worker, death), *_told_of(worker, death, plan), *following)


def settle_failed_start(
    worker: Worker, policy: PoolPolicy, why: str, *, now: float, roll: float
) -> Step:
    """Settle a start that failed: there was no process, so there is nobody to blame."""
    slot = worker.without_process()
    if worker.state is WorkerState.STOPPING:
        return _stay_down(slot, why)
    plan = restart.after_failure(policy, streak=worker.streak + 1, roll=roll)
    after, following = _carry_out(replace(slot, crash_count=slot.crash_count + 1), plan, now)
    record = Record(worker.id, worker.pool, Cause.CRASH, why)
    fields = {"cause": Cause.CRASH.value, "why": why} | _outlook(plan)
    return after, (record, Announce("worker.crashed", worker.id, fields), *following)


def _is_harder(verdict: Condemned, earlier: Condemned | None) -> bool:
    if earlier is None:
        return True
    return earlier.ending is Ending.DRAIN and verdict.ending is not Ending.DRAIN


def _told(worker: Worker, verdict: Condemned) -> Worker:
    """Send the signal that fits: a slot that stops goes on stopping."""
    if worker.state is WorkerState.STOPPING:
        return worker.after(Signal.STOP)
    return worker.after(Signal.COMPLAIN if verdict.cause is Cause.ERROR else Signal.REPLACE)


def _condemn(worker: Worker, policy: PoolPolicy, verdict: Condemned, now: float) -> Step:
    """Order the end. A process that is only ordered so far is ended when it appears."""
    condemned = replace(worker, condemned=verdict, kill_at=None)
    if verdict.ending is Ending.DRAIN and not (is_patient(condemned) and worker.jobs):
        condemned = replace(condemned, kill_at=now + policy.stop_grace)
    fields = {"cause": verdict.cause.value, "why": verdict.why}
    announce = Announce(f"worker.{worker.state.value}", worker.id, fields)
    if worker.pid is None:
        return condemned, (announce,)
    return condemned, (announce, _ending_of(worker, policy, verdict))


def _ending_of(worker: Worker, policy: PoolPolicy, verdict: Condemned) -> Command:
    """Return the order that brings the process to its end."""
    match verdict.ending:
        case Ending.DRAIN:
            return Drain(worker.id, verdict.why)
        case Ending.TERMINATE:
            return Terminate(worker.id, policy.term_grace, verdict.why)
        case Ending.KILL:
            return Kill(worker.id, verdict.why)
        case Ending.DUMP_AND_KILL:
            return DumpAndKill(worker.id, verdict.why)


def _hurried(worker: Worker, policy: PoolPolicy, now: float) -> Worker:
    """Give a patient drain the deadline of a stop."""
    if worker.condemned is None or worker.condemned.ending is not Ending.DRAIN:
        return worker
    limit = now + policy.stop_grace
    return replace(worker, kill_at=limit if worker.kill_at is None else worker.kill_at)


def _stay_down(worker: Worker, why: str) -> Step:
    signal = Signal.END if worker.state is WorkerState.STOPPING else Signal.STOP
    announce = () if worker.state is WorkerState.STOPPED else (_stopped(worker, why),)
    return replace(worker.after(signal), restart_at=None), announce


def _stopped(worker: Worker, why: str) -> Announce:
    return Announce("worker.stopped", worker.id, {"why": why})


def _carry_out(slot: Worker, plan: Plan, now: float) -> Step:
    slot = replace(slot, streak=plan.streak)
    if plan.signal is Signal.ORDER:
        return order(slot, now)
    slot = slot.after(plan.signal)
    if plan.delay is None:
        return slot, ()
    if plan.delay <= 0:
        return order(slot, now)
    return replace(slot, restart_at=now + plan.delay), ()


def _settled(worker: Worker, death: Death) -> Sequence[Command]:
    """Return what must be durable before another process starts."""
    commands: list[Command] = []
    if death.blamed:
        charge = _CHARGES.get(death.cause, Charge.CRASH)
        commands.append(Blame(worker.id, death.blamed, death.exit, death.why, charge))
    if death.spared:
        commands.append(Release(worker.id, death.spared, death.why))
    return commands


def _told_of(worker: Worker, death: Death, plan: Plan) -> Sequence[Command]:
    """Return what people are told of the death; an orderly end is no incident."""
    fields: dict[str, str | float] = {
        "cause": death.cause.value,
        "why": death.why,
        "exit": death.exit.words,
        "jobs": ", ".join(job.id for job in worker.jobs),
    }
    told = Announce(f"worker.{_OUTCOMES[plan.signal]}", worker.id, fields)
    if plan.signal is Signal.END:
        return (_record(worker, death), told) if death.is_crash else (told,)
    if plan.signal is Signal.ORDER:
        return (_record(worker, death),)  # announced when it was condemned
    return _record(worker, death), replace(told, fields=fields | _outlook(plan))


def _outlook(plan: Plan) -> dict[str, str | float]:
    """Return when the next process is due, and how many crashes in a row made it so late."""
    due: dict[str, str | float] = {"restart_in": plan.delay or 0.0}
    return due | {"crashes_in_a_row": plan.streak} if plan.streak > 1 else due


def _record(worker: Worker, death: Death) -> Record:
    return Record(
        worker=worker.id,
        pool=worker.pool,
        cause=death.cause,
        why=death.why,
        exit=death.exit.words,
        pid=worker.pid or 0,
        jobs=tuple(job.id for job in worker.jobs),
    )
