"""A fleet that is told what happens, event by event, so that a test reads like a story."""

from dataclasses import dataclass, field, replace

from supervisor.core.commands import Announce, Command, Spawn
from supervisor.core.decide import decide
from supervisor.core.events import (
    Beaten,
    Event,
    Exit,
    Exited,
    JobEnded,
    JobStarted,
    Measured,
    Ready,
    RestartAsked,
    RestartWorkerAsked,
    Spawned,
    SpawnFailed,
    StartedJob,
    StopWorkerAsked,
    Ticked,
)
from supervisor.core.fleet import Fleet, PoolPolicy, Worker, initial
from supervisor.core.lifecycle import WorkerState

QUEUE = "download_queue"
KILLED = Exit(None, 9, "killed by SIGKILL (9)")
OUT_OF_MEMORY = Exit(None, 9, "killed by the kernel", is_out_of_memory=True)
SEGFAULT = Exit(None, 11, "segmentation fault (SIGSEGV)")
TERMINATED = Exit(None, 15, "ended by SIGTERM (15)")
CLEAN = Exit(0, None, "left in order (exit code 0)")
FAILED = Exit(1, None, "exit code 1")
MISCONFIGURED = Exit(78, None, "exit code 78")
UNKNOWN = Exit(None, None, "exit status unknown")


def plain_policy(**changes: object) -> PoolPolicy:
    """The rules of the pool `download`, with some of them changed."""
    return replace(PoolPolicy(name="download"), **changes)  # type: ignore[arg-type]  # by name


def a_job(job: str = "j1", started_at: float = 0.0, attempt: int = 1) -> StartedJob:
    """A job in hand."""
    return StartedJob(QUEUE, job, attempt, started_at)


def a_worker(state: WorkerState = WorkerState.IDLE, **changes: object) -> Worker:
    """A worker whose process was ready at 0."""
    worker = Worker(
        id="download-1",
        pool="download",
        state=state,
        incarnation=1,
        pid=100,
        spawned_at=0.0,
        ready_at=0.0,
        last_beat=0.0,
    )
    return replace(worker, **changes)  # type: ignore[arg-type]  # by name


@dataclass
class Story:
    """One fleet and what it ordered last. Events are of the worker's current incarnation."""

    fleet: Fleet
    commands: tuple[Command, ...] = ()
    now: float = 0.0
    roll: float = 0.0
    worker_id: str = "download-1"
    pids: int = field(default=100)

    @property
    def worker(self) -> Worker:
        """The worker the story is about."""
        return self.fleet.workers[self.worker_id]

    @property
    def state(self) -> WorkerState:
        """Its state."""
        return self.worker.state

    @property
    def orders(self) -> tuple[Command, ...]:
        """What was ordered last, without what was only told."""
        return tuple(order for order in self.commands if not isinstance(order, Announce))

    @property
    def told(self) -> tuple[str, ...]:
        """What was told last."""
        return tuple(order.name for order in self.commands if isinstance(order, Announce))

    def tell(self, event: Event, *, at: float | None = None) -> "Story":
        """Let something happen."""
        self.now = self.now if at is None else at
        self.fleet, self.commands = decide(self.fleet, event, self.now, self.roll)
        return self

    def tick(self, at: float) -> "Story":
        """Let time pass."""
        return self.tell(Ticked(), at=at)

    def spawned(self) -> "Story":
        """The ordered process appears."""
        self.pids += 1
        return self.tell(Spawned(self.worker_id, self.worker.incarnation, self.pids))

    def spawn_failed(self, why: str = "no memory") -> "Story":
        """The ordered process cannot be made."""
        return self.tell(SpawnFailed(self.worker_id, self.worker.incarnation, why))

    def ready(self, *, at: float | None = None) -> "Story":
        """The process is ready."""
        return self.tell(Ready(self.worker_id, self.worker.incarnation), at=at)

    def up(self) -> "Story":
        """The ordered process appears and is ready."""
        return self.spawned().ready()

    def beat(self, *, at: float) -> "Story":
        """The process sends a heartbeat."""
        beat = Beaten(self.worker_id, self.worker.incarnation, consuming=True)
        return self.tell(beat, at=at)

    def starts(self, *jobs: str) -> "Story":
        """The process starts jobs."""
        for job in jobs:
            self.tell(JobStarted(self.worker_id, self.worker.incarnation, QUEUE, job))
        return self

    def ends(self, job: str, *, at: float | None = None) -> "Story":
        """The process is done with a job."""
        return self.tell(JobEnded(self.worker_id, self.worker.incarnation, QUEUE, job), at=at)

    def uses(self, *, memory: int = 0, cpu: float = 0.0, at: float | None = None) -> "Story":
        """The process is measured."""
        measured = Measured(self.worker_id, self.worker.incarnation, memory, cpu)
        return self.tell(measured, at=at)

    def complains(self, why: str = "Unable to reconnect to RabbitMQ") -> "Story":
        """The process reports a critical error."""
        return self.tell(RestartAsked(self.worker_id, self.worker.incarnation, why))

    def restart_worker(self, why: str = "restarted by an operator") -> "Story":
        """An operator wants a new process."""
        return self.tell(RestartWorkerAsked(self.worker_id, why))

    def stop_worker(self) -> "Story":
        """An operator wants the worker down."""
        return self.tell(StopWorkerAsked(self.worker_id))

    def exits(self, how: Exit, *, at: float | None = None) -> "Story":
        """The process dies."""
        return self.tell(Exited(self.worker_id, self.worker.incarnation, how), at=at)


def a_story(**changes: object) -> Story:
    """A pool of one worker whose start is ordered."""
    policy = plain_policy(**changes)
    fleet, commands = initial([policy], now=0.0)
    assert all(isinstance(command, Spawn) for command in commands)
    return Story(fleet, commands)
