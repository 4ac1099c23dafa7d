"""The coordinator's judgement: an event comes in, the fleet as it is now and what to do go out.

One short function an event. Whatever does not concern a living process any more (news of an
earlier incarnation, of a worker that is not there) changes nothing.
"""

from dataclasses import replace

from supervisor.core import endings, health, scaling
from supervisor.core.commands import Announce, Cause, Command, Finished, Stall, Terminate
from supervisor.core.endings import Step
from supervisor.core.events import (
    Beaten,
    CancelIgnored,
    Condition,
    Event,
    Exited,
    Garbled,
    HouseEvent,
    JobEnded,
    JobStarted,
    Left,
    Measured,
    News,
    OperatorEvent,
    ProcessEvent,
    Ready,
    RestartAsked,
    RestartWorkerAsked,
    ScaleAsked,
    Spawned,
    SpawnFailed,
    StartedJob,
    StopAsked,
    StopNowAsked,
    StopWorkerAsked,
    Ticked,
)
from supervisor.core.fleet import Condemned, Ending, Fleet, PoolPolicy, Stopping, Worker
from supervisor.core.lifecycle import Signal, WorkerState

Decision = tuple[Fleet, tuple[Command, ...]]


def decide(fleet: Fleet, event: Event, now: float, roll: float) -> Decision:
    """Return the fleet after the event, and what to do about it, in order.

    Args:
        fleet: as it was.
        event: what happened.
        now: monotonic seconds.
        roll: a random number in [0, 1) for delays.
    """
    if isinstance(event, HouseEvent):
        return _finish(*_on_house(fleet, event, now))
    worker = fleet.workers.get(event.worker)
    if worker is None:
        return fleet, ()
    policy = fleet.policy_of(worker)
    if isinstance(event, OperatorEvent):
        step = _on_operator(fleet, worker, event, now)
    elif not worker.is_live or worker.incarnation != event.incarnation:
        return fleet, ()
    elif isinstance(event, ProcessEvent):
        step = _on_process(worker, policy, event, now, roll)
    elif worker.pid is not None:
        step = _on_news(worker, policy, event, now)
    else:
        return fleet, ()
    after, commands = step
    return _finish(scaling.settled(fleet.with_worker(after), after), commands)


def _finish(fleet: Fleet, commands: tuple[Command, ...]) -> Decision:
    """Say once that the house is empty."""
    if fleet.stopping is Stopping.NO or fleet.is_finished:
        return fleet, commands
    if any(worker.is_live for worker in fleet.workers.values()):
        return fleet, commands
    return replace(fleet, is_finished=True), (*commands, Finished())


# --- the whole house ---------------------------------------------------------------------------


def _on_house(fleet: Fleet, event: HouseEvent, now: float) -> Decision:
    match event:
        case StopAsked():
            second = fleet.stopping is not Stopping.NO
            return _stop_all(fleet, Stopping.NOW if second else Stopping.DRAINING, now)
        case StopNowAsked():
            return _stop_all(fleet, Stopping.NOW, now)
        case ScaleAsked():
            return scaling.scale(fleet, event, now)
        case Ticked():
            return _tick_all(fleet, now)


def _stop_all(fleet: Fleet, how: Stopping, now: float) -> Decision:
    if fleet.stopping is how:
        return fleet, ()
    if how is Stopping.NOW:
        verdict = Condemned(Cause.STOP, "the supervisor stops now", Ending.TERMINATE)
    else:
        verdict = Condemned(Cause.STOP, "the supervisor stops", Ending.DRAIN)
    stopping, commands = replace(fleet, stopping=how), list[Command]()
    for worker in fleet.workers.values():
        after, ordered = endings.stop(worker, fleet.policy_of(worker), verdict, now)
        stopping = stopping.with_worker(after)
        commands.extend(ordered)
    return stopping, tuple(commands)


def _tick_all(fleet: Fleet, now: float) -> Decision:
    ticked, commands = fleet, list[Command]()
    for worker in fleet.workers.values():
        after, ordered = _tick(worker, fleet.policy_of(worker), now)
        ticked = ticked.with_worker(after) if after is not worker else ticked
        commands.extend(ordered)
    return ticked, tuple(commands)


def _tick(worker: Worker, policy: PoolPolicy, now: float) -> Step:
    if worker.restart_at is not None and worker.restart_at <= now:
        return endings.order(worker, now)
    worker, told = _stall(worker, policy, now)
    verdict = health.overdue(worker, policy, now)
    if verdict is None:
        return worker, told
    after, commands = endings.replace_process(worker, policy, verdict, now)
    return after, (*told, *commands)


def _stall(worker: Worker, policy: PoolPolicy, now: float) -> Step:
    """Tell once of a silence that its jobs are stalled, before anything is done about it."""
    why = health.stalled(worker, policy, now)
    if not why:
        return worker, ()
    return replace(worker, is_stalled=True), (Stall(worker.id, worker.jobs, why),)


# --- operators ---------------------------------------------------------------------------------


def _on_operator(fleet: Fleet, worker: Worker, event: OperatorEvent, now: float) -> Step:
    if fleet.stopping is not Stopping.NO:
        return worker, ()
    match event:
        case RestartWorkerAsked() if scaling.is_surplus(fleet, worker):
            return worker, ()  # it is leaving for good
        case RestartWorkerAsked(why=why):
            return _restart(worker, fleet.policy_of(worker), why, now)
        case StopWorkerAsked():
            return _stop(worker, fleet.policy_of(worker), now)


def _restart(worker: Worker, policy: PoolPolicy, why: str, now: float) -> Step:
    if not worker.is_live:
        return endings.order(replace(worker, streak=0), now)
    if worker.state is WorkerState.STOPPING:
        return endings.keep_going(worker, why), ()
    if worker.pid is None:
        return worker, ()  # a new process is on its way already
    verdict = Condemned(Cause.OPERATOR, why, Ending.DRAIN)
    return endings.replace_process(worker, policy, verdict, now)


def _stop(worker: Worker, policy: PoolPolicy, now: float) -> Step:
    if worker.state is WorkerState.STOPPING:
        verdict = Condemned(Cause.OPERATOR, "stopped at once by an operator", Ending.TERMINATE)
    else:
        verdict = Condemned(Cause.OPERATOR, "stopped by an operator", Ending.DRAIN)
    return endings.stop(worker, policy, verdict, now)


# --- processes, seen from outside --------------------------------------------------------------


def _on_process(
    worker: Worker, policy: PoolPolicy, event: ProcessEvent, now: float, roll: float
) -> Step:
    match event:
        case Spawned(pid=pid):
            return _spawned(worker, policy, pid, now)
        case SpawnFailed(why=why):
            if worker.pid is not None:
                return worker, ()
            return endings.settle_failed_start(worker, policy, why, now=now, roll=roll)
        case Exited(exit=exit_):
            return endings.settle_death(worker, policy, exit_, now=now, roll=roll)


def _spawned(worker: Worker, policy: PoolPolicy, pid: int, now: float) -> Step:
    if worker.pid is not None:
        return worker, ()
    spawned = replace(worker.after(Signal.SPAWN), pid=pid, spawned_at=now, ordered_at=None)
    if worker.condemned is None:
        return spawned, ()
    # It was stopped while it was being made: it has nothing in hand to finish.
    verdict = replace(worker.condemned, ending=Ending.TERMINATE)
    ended = replace(spawned, condemned=verdict, kill_at=None)
    return ended, (Terminate(worker.id, policy.term_grace, verdict.why),)


# --- what a process says -----------------------------------------------------------------------


def _on_news(worker: Worker, policy: PoolPolicy, event: News, now: float) -> Step:
    match event:
        case Ready():
            return _ready(worker, now)
        case Beaten(consuming=consuming, why=why, holds=holds):
            beaten = replace(worker, last_beat=now, consuming=consuming, broker=why)
            return replace(beaten, holds=holds, is_stalled=False), ()
        case JobStarted() | JobEnded() | CancelIgnored():
            return _on_job(worker, policy, event, now)
        case Left():
            return replace(worker, has_left=True), ()
        case Measured() | RestartAsked() | Garbled():
            return _on_condition(worker, policy, event, now)


def _ready(worker: Worker, now: float) -> Step:
    if worker.ready_at is not None:
        return worker, ()
    ready = replace(worker.after(Signal.READY), ready_at=now, last_beat=now)
    if ready.jobs:
        ready = ready.after(Signal.WORK)
    name = "worker.ready" if worker.incarnation == 1 else "worker.restored"
    return ready, (Announce(name, worker.id, {"pid": worker.pid or 0}),)


def _on_job(
    worker: Worker, policy: PoolPolicy, event: JobStarted | JobEnded | CancelIgnored, now: float
) -> Step:
    match event:
        case JobStarted(queue=queue, job=job, attempt=attempt):
            return _job_started(worker, StartedJob(queue, job, attempt, now)), ()
        case JobEnded(queue=queue, job=job):
            return _job_ended(worker, policy, worker.without_job(queue, job), now), ()
        case CancelIgnored(queue=queue, job=job):
            for held in worker.jobs:
                if (held.queue, held.id) == (queue, job):
                    verdict = health.ignored_cancel(held)
                    return endings.replace_process(worker, policy, verdict, now)
            return worker, ()


def _job_started(worker: Worker, job: StartedJob) -> Worker:
    others = worker.without_job(job.queue, job.id)
    started = replace(others, jobs=(*others.jobs, job), has_worked=True)
    if endings.is_patient(started):
        started = replace(started, kill_at=None)  # it was claimed before the drain was heard of
    return started if worker.ready_at is None else started.after(Signal.WORK)


def _job_ended(worker: Worker, policy: PoolPolicy, after: Worker, now: float) -> Worker:
    if not worker.jobs or after.jobs:
        return after
    if endings.is_patient(after):
        after = replace(after, kill_at=now + policy.stop_grace)  # nothing is left to wait for
    return after if worker.ready_at is None else after.after(Signal.REST)


def _on_condition(worker: Worker, policy: PoolPolicy, event: Condition, now: float) -> Step:
    match event:
        case Measured(memory=memory, cpu=cpu):
            measured = health.with_measures(worker, policy, memory=memory, cpu=cpu, now=now)
            verdict = health.weigh(measured, policy, now)
            if verdict is None:
                return measured, ()
            return endings.replace_process(measured, policy, verdict, now)
        case RestartAsked(why=why):
            verdict = Condemned(Cause.ERROR, why, Ending.TERMINATE)
            return endings.replace_process(worker, policy, verdict, now)
        case Garbled(why=why, is_final=is_final):
            counted = replace(worker, unreadable=worker.unreadable + 1)
            if not is_final:
                return counted, ()
            verdict = health.not_understood(why)
            return endings.replace_process(counted, policy, verdict, now)
