"""All workers and what is known of each, with the rules of their pools.

These are values: every change makes a new one. Moments are monotonic seconds, ``now`` of the
event that brought the news.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from supervisor.core.commands import Cause, Spawn
from supervisor.core.events import Exit, StartedJob
from supervisor.core.lifecycle import Signal, WorkerState, follow


class RestartPolicy(enum.Enum):
    """When a worker that ended by itself is started again.

    All three obey an operator's stop for as long as this program runs; whether the stop outlives
    it (``unless-stopped``) is for whoever makes the fleet to say.
    """

    ALWAYS = "always"
    ON_FAILURE = "on-failure"  # not if it left with exit code 0 and empty hands
    UNLESS_STOPPED = "unless-stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPolicy:
    """What the workers of one pool may use and how they are restarted; seconds and bytes."""

    name: str
    instances: int = 1
    restart: RestartPolicy = RestartPolicy.ALWAYS
    delay: float = 5.0  # after a first crash
    max_delay: float = 300.0
    stable: float = 60.0  # of healthy life, and earlier crashes are forgiven
    memory_soft: int | None = None  # finish the job, then be replaced
    memory_hard: int | None = None  # be killed at once
    max_cpu: float | None = None  # shares of one processor, for a whole window
    cpu_window: float = 60.0
    timeout: float = 3600.0  # of one job
    timeout_margin: float = 5.0  # a processor that stops itself at its deadline shall win
    heartbeat_timeout: float = 30.0
    stalled_after: float = 30.0  # without a beat its jobs are told to be stalled
    start_timeout: float = 30.0
    stop_grace: float = 30.0  # for a drain
    term_grace: float = 5.0  # between TERM and KILL


class Ending(enum.Enum):
    """How a process is brought to its end."""

    DRAIN = "drain"
    TERMINATE = "terminate"
    KILL = "kill"
    DUMP_AND_KILL = "dump and kill"


@dataclass(frozen=True, slots=True)
class Condemned:
    """The verdict that a process has to go, and why; ``culprit`` is the one job it is about."""

    cause: Cause
    why: str
    ending: Ending
    culprit: StartedJob | None = None


@dataclass(frozen=True, slots=True)
class Death:
    """What a process died of, which of its jobs are to blame, and which are spared."""

    cause: Cause
    why: str
    exit: Exit
    is_planned: bool
    blamed: tuple[StartedJob, ...] = ()
    spared: tuple[StartedJob, ...] = ()

    @property
    def is_orderly(self) -> bool:
        """Answer whether the process left by itself, in order and with empty hands."""
        return self.cause is Cause.CRASH and self.exit.is_clean and not self.blamed

    @property
    def is_mystery(self) -> bool:
        """Answer whether nobody can tell how the process ended."""
        return self.cause is Cause.CRASH and self.exit.is_unknown

    @property
    def is_crash(self) -> bool:
        """Answer whether it counts as one."""
        return not (self.is_planned or self.is_orderly or self.is_mystery)


class Due(enum.Enum):
    """What a worker can be waited for."""

    START = "start"  # its delay ends
    LEAVE = "leave"  # its drain has taken too long
    READY = "ready"
    BEAT = "beat"
    STALL = "stall"  # its jobs are told to be stalled
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment at which something must be done about a worker, if nothing happens before."""

    at: float
    due: Due
    job: StartedJob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One slot of a pool, and the process that fills it now, if any."""

    id: str  # POOL-N
    pool: str
    state: WorkerState
    incarnation: int = 0  # how many processes were ordered for this slot so far
    streak: int = 0  # crashes in a row, not forgiven yet
    crash_count: int = 0  # crashes ever
    unreadable: int = 0  # frames ever that made no sense
    restart_at: float | None = None  # when the next process is due, if one is
    # the process
    ordered_at: float | None = None  # a start was ordered and not answered yet
    pid: int | None = None
    spawned_at: float | None = None
    ready_at: float | None = None
    last_beat: float | None = None
    consuming: bool = False
    broker: str = ""  # its trouble with the broker
    holds: Mapping[str, str] = field(default_factory=dict)  # by name, why it takes nothing new
    memory: int = 0  # bytes, with its children
    cpu: float = 0.0  # shares of one processor
    cpu_high_since: float | None = None
    jobs: tuple[StartedJob, ...] = ()
    is_stalled: bool = False  # it was told that its jobs are, and it has not beaten since
    has_worked: bool = False  # it started a job once
    has_left: bool = False  # it said goodbye and gave its jobs back
    condemned: Condemned | None = None
    kill_at: float | None = None  # when a drain has taken too long

    @property
    def number(self) -> int:
        """Return its number in its pool, from 1."""
        return int(self.id.rpartition("-")[2])

    @property
    def is_live(self) -> bool:
        """Answer whether there is a process, or one on its way."""
        return self.pid is not None or self.ordered_at is not None

    @property
    def restarts(self) -> int:
        """Return how many processes were ordered after the first."""
        return max(self.incarnation - 1, 0)

    def after(self, signal: Signal) -> "Worker":
        """Return the worker in the state that follows. Raises IllegalSignalError."""
        return replace(self, state=follow(self.state, signal))

    def without_process(self) -> "Worker":
        """Return the slot with nothing in it: only its history is kept."""
        return Worker(
            id=self.id,
            pool=self.pool,
            state=self.state,
            incarnation=self.incarnation,
            streak=self.streak,
            crash_count=self.crash_count,
            unreadable=self.unreadable,
        )

    def without_job(self, queue: str, job: str) -> "Worker":
        """Return the worker with this job no longer in hand."""
        return replace(
            self, jobs=tuple(held for held in self.jobs if (held.queue, held.id) != (queue, job))
        )

    def deadlines(self, policy: PoolPolicy) -> Iterator[Deadline]:
        """Yield what is waited for. A process that is being ended for good is left to the shell."""
        if self.restart_at is not None:
            yield Deadline(self.restart_at, Due.START)
        if self.pid is None or (self.condemned and self.condemned.ending is not Ending.DRAIN):
            return
        if self.kill_at is not None:
            yield Deadline(self.kill_at, Due.LEAVE)
        if self.ready_at is None and self.spawned_at is not None:
            yield Deadline(self.spawned_at + policy.start_timeout, Due.READY)
        if self.ready_at is not None and self.last_beat is not None:
            yield Deadline(self.last_beat + policy.heartbeat_timeout, Due.BEAT)
            if self.jobs and not self.is_stalled:
                silence = min(policy.stalled_after, policy.heartbeat_timeout)
                yield Deadline(self.last_beat + silence, Due.STALL)
        for job in self.jobs:
            limit = policy.timeout + policy.timeout_margin
            yield Deadline(job.started_at + limit, Due.JOB, job)


class Stopping(enum.Enum):
    """Whether the whole house is on its way down."""

    NO = "no"
    DRAINING = "draining"
    NOW = "now"


@dataclass(frozen=True, slots=True)
class Fleet:
    """Every pool's policy and every worker, in the order they are shown."""

    policies: Mapping[str, PoolPolicy] = field(default_factory=dict)
    workers: Mapping[str, Worker] = field(default_factory=dict)
    departed: Mapping[str, int] = field(default_factory=dict)  # slots that are gone: incarnations
    stopping: Stopping = Stopping.NO
    is_finished: bool = False  # everything is down after a stop

    def policy_of(self, worker: Worker) -> PoolPolicy:
        """Return the rules of the worker's pool."""
        return self.policies[worker.pool]

    def with_worker(self, worker: Worker) -> "Fleet":
        """Return the fleet with this worker as it is now."""
        return replace(self, workers=MappingProxyType({**self.workers, worker.id: worker}))

    def without_worker(self, worker: Worker) -> "Fleet":
        """Return the fleet without this slot; only how many processes it had is remembered."""
        left = {name: each for name, each in self.workers.items() if name != worker.id}
        departed = {**self.departed, worker.id: worker.incarnation}
        return replace(self, workers=MappingProxyType(left), departed=MappingProxyType(departed))

    def with_policy(self, policy: PoolPolicy) -> "Fleet":
        """Return the fleet with these rules for the pool they name."""
        return replace(self, policies=MappingProxyType({**self.policies, policy.name: policy}))

    def in_order(self) -> "Fleet":
        """Return the fleet with its workers in the order they are shown: by pool and number."""
        pools = list(self.policies)
        ranked = sorted(
            self.workers.values(), key=lambda each: (pools.index(each.pool), each.number)
        )
        return replace(self, workers=MappingProxyType({each.id: each for each in ranked}))

    def next_deadline(self) -> float | None:
        """Return the moment at which ``Ticked`` is due if nothing happens before."""
        return min(
            (
                deadline.at
                for worker in self.workers.values()
                for deadline in worker.deadlines(self.policy_of(worker))
            ),
            default=None,
        )


def initial(policies: Iterable[PoolPolicy], now: float) -> tuple[Fleet, tuple[Spawn, ...]]:
    """Return the fleet at the beginning, and the orders that start its workers."""
    pools = {policy.name: policy for policy in policies}
    workers = {
        worker_id: Worker(
            id=worker_id, pool=name, state=WorkerState.STARTING, incarnation=1, ordered_at=now
        )
        for name, policy in pools.items()
        for worker_id in (f"{name}-{number}" for number in range(1, policy.instances + 1))
    }
    fleet = Fleet(policies=MappingProxyType(pools), workers=MappingProxyType(workers))
    return fleet, tuple(Spawn(worker.id, worker.incarnation) for worker in workers.values())
