"""Whether the coordinator itself is well, what it says of itself, and how long it may still take.

A coordinator whose loop turns can be ill all the same: a ledger that takes no write and gives no
answer, words of workers that nobody reads. Then nothing is settled any more, and to be started
again helps; whoever has a watchdog over us is to know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from supervisor.core.fleet import Fleet, Stopping

FAREWELL = 30.0  # seconds to kill, write down and close up once the last drain is over


@dataclass(frozen=True, slots=True)
class PipeReading:
    """One look at a worker's pipe: how many frames were taken so far, and whether more wait."""

    taken: int
    is_waiting: bool


@dataclass(frozen=True, slots=True)
class Neglect:
    """Words in a pipe that nobody takes: since when, and after how many that were taken."""

    since: float
    taken: int


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is watched, in seconds: for how long the oldest of its kind has waited."""

    behind: float = 0.0  # an event in the inbox
    unwritten: float = 0.0  # a write in the ledger
    unheard: Mapping[str, float] = field(default_factory=dict)  # by worker, words in its pipe


def neglected(
    before: Mapping[str, Neglect], pipes: Mapping[str, PipeReading], now: float
) -> Mapping[str, Neglect]:
    """Return where words wait and none has been taken since the last look, and since when.

    A pipe that is never empty because its worker talks without end is served all the same.
    """
    found: dict[str, Neglect] = {}
    for name, pipe in pipes.items():
        if pipe.is_waiting:
            earlier = before.get(name)
            is_old = earlier is not None and earlier.taken == pipe.taken
            found[name] = earlier if earlier and is_old else Neglect(now, pipe.taken)
    return found


def ailment(vitals: Vitals, *, limit: float) -> str:
    """Return what has stood still for longer than ``limit`` seconds; empty: all is well."""
    if vitals.behind > limit:
        return f"the coordinator is {vitals.behind:.0f} s behind with its events"
    if vitals.unwritten > limit:
        return f"the ledger has not answered a write for {vitals.unwritten:.0f} s"
    unheard = {worker: waited for worker, waited in vitals.unheard.items() if waited > limit}
    if unheard:
        longest = max(unheard.values())
        return f"nobody has listened to {', '.join(unheard)} for {longest:.0f} s"
    return ""


def sentence(fleet: Fleet, *, trouble: str) -> str:
    """Return in one line how the house stands; ``trouble`` is why the broker is away, if it is."""
    jobs = sum(len(worker.jobs) for worker in fleet.workers.values())
    if fleet.stopping is not Stopping.NO:
        live = sum(worker.is_live for worker in fleet.workers.values())
        return f"stopping: {_count(live, 'worker')} to end, {_count(jobs, 'job')} in hand"
    held = _held(fleet)
    for why, pools in held.items():
        if len(pools) == len(fleet.policies):
            return f"held: {why}"
    if trouble:
        return f"waiting for the broker: {trouble}"
    parts = [_workers(fleet), f"{_count(jobs, 'job')} running", "broker connected"]
    held_pools = [f"{', '.join(pools)} held: {why}" for why, pools in held.items()]
    return "; ".join([", ".join(parts), *held_pools])


def time_to_stop(fleet: Fleet, now: float) -> float | None:
    """Return the seconds that a stop may still take: to the end of the last drain, and farewell.

    None when no drain is under way any more: what is left has had its time.
    """
    deadlines = [
        worker.kill_at
        for worker in fleet.workers.values()
        if worker.is_live and worker.kill_at is not None and worker.kill_at > now
    ]
    return max(deadlines) - now + FAREWELL if deadlines else None


def _held(fleet: Fleet) -> Mapping[str, Sequence[str]]:
    """Return by reason the pools of which no worker takes anything new."""
    pools: dict[str, list[str]] = {}
    for pool in fleet.policies:
        live = [each for each in fleet.workers.values() if each.pool == pool and each.is_live]
        if live and all(worker.holds for worker in live):
            pools.setdefault(next(iter(live[0].holds.values())), []).append(pool)
    return pools


def _workers(fleet: Fleet) -> str:
    running = sum(worker.state.is_running for worker in fleet.workers.values())
    total = len(fleet.workers)
    return _count(total, "worker") if running == total else f"{running} of {total} workers"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
