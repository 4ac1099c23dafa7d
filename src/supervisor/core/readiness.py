"""Whether jobs are being consumed as they should be; if not, every reason in words.

What an operator wanted is no reason: a hold of theirs, a worker that was told to stop.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from consumers.holds import SPENT, SUSPECT
from supervisor.core.conditions import OPERATOR, OURS, Holds
from supervisor.core.fleet import Fleet, Stopping, Worker
from supervisor.core.lifecycle import WorkerState

CRASH_LOOP = 3  # crashes in a row, of every worker of a pool

STOPPING = "stopping"
BROKER = "broker"
NO_WORKER = "no worker"
CRASHING = "crash loop"
PARKING = "parking"
MOMENT = 60.0  # seconds; after an outage the session for parked jobs may come half a minute late
OF_WHAT = "; `status` says of what"  # for those who do not read it there


class Condition(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Why jobs are not consumed as they should be: in one pool, or without one in all."""

    name: str
    why: str
    pool: str = ""
    seconds: float | None = None  # for how long, where that is known
    is_wanted: bool = False  # by an operator: the house is ready all the same

    @property
    def sentence(self) -> str:
        """Return it as one line."""
        where = f"pool {self.pool}: " if self.pool else ""
        return f"{where}{self.name}: {self.why}"


@dataclass(frozen=True, slots=True)
class Parking:
    """Whether jobs that take long can be parked; unless said otherwise they can, or need not be."""

    is_open: bool = True
    why: str = ""  # they cannot, in the broker's words, and what to do
    is_ours: bool = False  # surely no mere moment, nor an outage of the whole broker


@dataclass(frozen=True, slots=True)
class Scene:
    """What readiness is judged by; moments are monotonic seconds."""

    fleet: Fleet
    broker: str = ""  # why it is not connected, if it is not
    holds: Holds = field(default_factory=dict)  # on all pools
    paused: Holds = field(default_factory=dict)  # by pool, in the operator's words
    held_since: Mapping[str, float] = field(default_factory=dict)  # by hold
    unserved_since: Mapping[str, float] = field(default_factory=dict)  # by pool
    parking: Parking = Parking()
    unparked_since: float | None = None  # since when it has not been open, the broker being there


def conditions(scene: Scene, now: float) -> tuple[Condition, ...]:
    """Return every reason there is, the most general first."""
    return tuple(_conditions(scene, now))


def is_ready(found: Sequence[Condition]) -> bool:
    """Answer whether jobs are consumed as they should be."""
    return all(each.is_wanted for each in found)


def unserved(fleet: Fleet) -> frozenset[str]:
    """Return the pools that should be served and have no worker that consumes."""
    return frozenset(
        pool
        for pool, workers in by_pool(fleet).items()
        if workers
        and not any(worker.consuming for worker in workers)
        and not all(worker.state is WorkerState.STOPPED for worker in workers)
    )


def held(fleet: Fleet, holds: Holds, paused: Holds) -> Mapping[tuple[str, str], str]:
    """Return by pool and name all holds in force: on every pool, by operators, of workers."""
    found = {(pool, name): why for pool in fleet.policies for name, why in holds.items()}
    found |= {(pool, OPERATOR): why for pool, why in paused.items()}
    for worker in fleet.workers.values():
        for name, why in worker.holds.items():
            # A worker's news of ours are old by the time they are here; a suspect is no fault.
            if name not in OURS and name not in {OPERATOR, SPENT, SUSPECT}:
                found.setdefault((worker.pool, name), why)
    return found


def by_pool(fleet: Fleet) -> Mapping[str, Sequence[Worker]]:
    """Return the workers of each pool."""
    pools: dict[str, list[Worker]] = {pool: [] for pool in fleet.policies}
    for worker in fleet.workers.values():
        pools[worker.pool].append(worker)
    return pools


def _conditions(scene: Scene, now: float) -> Iterator[Condition]:
    is_stopping = scene.fleet.stopping is not Stopping.NO
    if is_stopping:
        yield Condition(STOPPING, "takes nothing new, ends the jobs in hand")
    if scene.broker:
        yield Condition(BROKER, scene.broker)
    elif not is_stopping and _is_shut(scene, now):
        seconds = _span(scene.unparked_since, now)
        yield Condition(PARKING, _unparked(scene.parking.why), seconds=seconds)
    for name, why in scene.holds.items():
        yield Condition(name, why, seconds=_span(scene.held_since.get(name), now))
    for (pool, name), why in held(scene.fleet, {}, scene.paused).items():
        yield Condition(name, why, pool, is_wanted=name == OPERATOR)
    if not is_stopping:
        yield from _pools(scene, now)


def _is_shut(scene: Scene, now: float) -> bool:
    """Answer whether jobs cannot be parked, and it is not for a moment only."""
    is_over = _span(scene.unparked_since, now) > MOMENT
    return not scene.parking.is_open and (scene.parking.is_ours or is_over)


def _unparked(why: str) -> str:
    return (
        "jobs cannot be parked: RabbitMQ takes back those that run for longer than its "
        f"consumer_timeout, 30 minutes unless changed: {why}"
    )


def _pools(scene: Scene, now: float) -> Iterator[Condition]:
    nobody = unserved(scene.fleet)
    for pool, workers in by_pool(scene.fleet).items():
        if workers and all(_loops(worker, scene.fleet, now) for worker in workers):
            crashes = min(worker.streak for worker in workers)
            why = f"each worker has crashed {crashes} times in a row or more{OF_WHAT}"
            yield Condition(CRASHING, why, pool)
        elif pool in nobody and not scene.broker:  # without a broker nobody can
            seconds = _span(scene.unserved_since.get(pool), now)
            yield Condition(NO_WORKER, _standing(workers), pool, seconds)


def _loops(worker: Worker, fleet: Fleet, now: float) -> bool:
    """Answer whether a worker crashes again and again; a long healthy life is no part of that."""
    stable = fleet.policy_of(worker).stable
    is_over = worker.ready_at is not None and now - worker.ready_at >= stable
    return worker.streak >= CRASH_LOOP and not is_over


def _standing(workers: Sequence[Worker]) -> str:
    """Return how the workers stand that do not consume."""
    states = Counter(worker.state.value for worker in workers)
    counted = ", ".join(f"{number} {state}" for state, number in states.items())
    reason = next((worker.broker for worker in workers if worker.broker), "")
    return f"none consumes ({counted}){f': {reason}' if reason else ''}"


def _span(since: float | None, now: float) -> float:
    return 0.0 if since is None else max(0.0, now - since)
