"""How a pool gets more workers or fewer while it runs.

The slots of a pool are numbered from 1. New ones are added above, and the highest leave: each
takes nothing new, finishes the jobs it has in hand, which their own timeout bounds, and its slot
is gone. A slot that leaves and is wanted again goes on with a fresh process.
"""

from collections.abc import Iterator
from dataclasses import replace

from supervisor.core import endings
from supervisor.core.commands import Cause, Command, Spawn
from supervisor.core.events import ScaleAsked
from supervisor.core.fleet import Condemned, Ending, Fleet, PoolPolicy, Stopping, Worker
from supervisor.core.lifecycle import WorkerState

Decision = tuple[Fleet, tuple[Command, ...]]


def scale(fleet: Fleet, asked: ScaleAsked, now: float) -> Decision:
    """Return the fleet with the number of workers that was asked for, and how it comes about.

    A house that stops, and a pool that is not there, stay as they are.
    """
    if fleet.stopping is not Stopping.NO or asked.pool not in fleet.policies:
        return fleet, ()
    policy = replace(fleet.policies[asked.pool], instances=asked.instances)
    scaled, commands = fleet.with_policy(policy), list[Command]()
    for worker in workers_of(fleet, asked.pool):
        after, ordered = _adapted(worker, policy, asked, now)
        scaled = settled(scaled.with_worker(after), after)
        commands.extend(ordered)
    for worker in _missing(scaled, policy, now):
        scaled = scaled.with_worker(worker)
        commands.append(Spawn(worker.id, worker.incarnation))
    return scaled.in_order(), tuple(commands)


def workers_of(fleet: Fleet, pool: str) -> tuple[Worker, ...]:
    """Return the workers of a pool, those that leave as well."""
    return tuple(worker for worker in fleet.workers.values() if worker.pool == pool)


def is_surplus(fleet: Fleet, worker: Worker) -> bool:
    """Answer whether a worker is above the number its pool shall have."""
    return worker.number > fleet.policy_of(worker).instances


def settled(fleet: Fleet, worker: Worker) -> Fleet:
    """Return the fleet without a slot that is down and not wanted any more."""
    if worker.state is WorkerState.STOPPED and is_surplus(fleet, worker):
        return fleet.without_worker(worker)
    return fleet


def _adapted(worker: Worker, policy: PoolPolicy, asked: ScaleAsked, now: float) -> endings.Step:
    if worker.number > asked.instances:
        cause = Cause.SCALE if asked.is_patient else Cause.OPERATOR
        return endings.stop(worker, policy, Condemned(cause, asked.why, Ending.DRAIN), now)
    if worker.state is WorkerState.STOPPING and _leaves(worker):
        return endings.keep_going(worker, asked.why), ()
    return worker, ()


def _leaves(worker: Worker) -> bool:
    return worker.condemned is not None and worker.condemned.cause is Cause.SCALE


def _missing(fleet: Fleet, policy: PoolPolicy, now: float) -> Iterator[Worker]:
    for number in range(1, policy.instances + 1):
        worker_id = f"{policy.name}-{number}"
        if worker_id not in fleet.workers:
            # The number of its process goes on: of an earlier one there may be news to come.
            incarnation = fleet.departed.get(worker_id, 0) + 1
            yield Worker(
                id=worker_id,
                pool=policy.name,
                state=WorkerState.STARTING,
                incarnation=incarnation,
                ordered_at=now,
            )
