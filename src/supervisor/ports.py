"""What the doors (HTTP API, CLI, demo) ask of the running coordinator, and the shapes they show."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Protocol

import msgspec

from consumers.errors import nearest
from consumers.jobs import Priority
from supervisor.core.readiness import Condition
from supervisor.core.records import Family, Incident, JobFilter, JobPage, JobRecord, Relative
from supervisor.desks.events import EVERYTHING, Listening, Wanted
from supervisor.desks.letters import Letters
from supervisor.desks.logs import Logs
from supervisor.desks.pools import Pools
from supervisor.desks.queues import Queues
from supervisor.desks.retries import Retries
from supervisor.desks.schedules import Schedules
from supervisor.desks.steering import Steering


class Mode(enum.Enum):
    """What becomes of an order whose key another job holds."""

    DROP = "drop"  # it comes to that job as it is
    REPLACE = "replace"  # while that job waits, it gets the new data


class Deduplicate(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One job for a key: for ``ttl`` seconds, or (None) while that job is not finished."""

    key: str
    ttl: float | None = None
    mode: Mode = Mode.DROP


class Order(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A job somebody wants done: the body of ``POST /api/jobs``."""

    pool: str
    data: Mapping[str, object]
    id: str | None = None  # also the idempotency key
    priority: int | str = Priority.NORMAL  # a name, or a number that its pool knows
    delay: float = 0.0  # seconds
    run_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None  # instead of a delay
    name: str = ""  # its type, where a pool has several; else the body's own `type`
    max_attempts: int | None = None  # the first run included; else as the pool has it
    deduplicate: Deduplicate | None = None
    then: object = None  # what follows it: a pool, a step, or a list of them; part of its data


class Entered(msgspec.Struct, frozen=True):
    """A job that is in the ledger; not new if it was there before."""

    id: str
    is_new: bool


class LastRestart(msgspec.Struct, frozen=True, rename="camel"):
    """Why this worker's process is not its first."""

    cause: str
    why: str
    exit: str
    at: datetime
    jobs: tuple[str, ...] = ()


class WorkerView(msgspec.Struct, frozen=True, rename="camel"):
    """One worker as people see it; memory in bytes, cpu in per cent of one core, times in s."""

    id: str
    pool: str
    state: str
    pid: int | None
    restarts: int
    crash_count: int  # ever
    job: str | None
    jobs: tuple[str, ...] = ()
    consuming: bool = False
    broker: str = ""
    holds: Mapping[str, str] = {}  # by name, why it takes nothing new although it could
    memory: int = 0
    memory_limit: int | None = None
    cpu: float = 0.0
    start_time: datetime | None = None
    last_activity: datetime | None = None
    uptime: float = 0.0
    jobs_processed: int = 0
    jobs_successful: int = 0
    jobs_failed: int = 0
    average_processing_time: float = 0.0
    restart_in: float | None = None  # seconds until a planned start
    crashes_in_a_row: int = 0  # not forgiven yet; each makes the next start wait longer
    unreadable_frames: int = 0  # what it said that made no sense
    refused_frames: int = 0  # what it could not say because it was too large
    last_restart: LastRestart | None = None


class QueueView(msgspec.Struct, frozen=True, rename="camel"):
    """One pool's queue: what is ready, in work, delayed, done and dead. None = not known now."""

    queue: str
    pool: str
    ready: int | None
    active: int
    delayed: int
    dead: int
    completed: int
    paused: bool = False
    duplicates: int = 0  # second publishes of a known job's id since the start, not run
    oversized: int | None = 0  # dead letters too large to record, in a private queue
    staying: int = 0  # such letters that the broker does not take again, still where they were
    warnings: tuple[str, ...] = ()  # what somebody should look at, and what to do
    limit: str = ""  # what holds its jobs back, like 10/s
    is_waiting: bool = False  # jobs could begin now, were it not for the rate


class BrokerView(msgspec.Struct, frozen=True, rename="camel"):
    """Where the broker is and whether it can be reached; no credentials."""

    address: str
    connected: bool
    why: str = ""


class Health(msgspec.Struct, frozen=True, rename="camel"):
    """The whole house in five numbers; active workers are idle or processing."""

    total_workers: int
    active_workers: int
    total_jobs: int
    success_rate: float
    average_uptime: float


class SiteView(msgspec.Struct, frozen=True, rename="camel"):
    """A site that asked to be left alone: its jobs wait."""

    name: str
    why: str
    seconds: float  # until it is visited again


class EventsView(msgspec.Struct, frozen=True, rename="camel"):
    """How the events for other programs fare: where they are published, and how many."""

    exchange: str
    published: int  # since the start
    missed: int  # not published, because the broker was away for too long
    why: str = ""  # nothing can be published just now


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """What ``status`` shows."""

    version: str
    pid: int
    uptime: float
    state: str  # starting running draining
    broker: BrokerView
    health: Health
    workers: tuple[WorkerView, ...]
    queues: tuple[QueueView, ...]
    conditions: tuple[Condition, ...] = ()  # why jobs are not consumed as they should be
    sites: tuple[SiteView, ...] = ()  # that are left alone for a while
    events: EventsView | None = None  # None: they are not published


class Event(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One thing that happened: ``active``, ``completed``, ``worker.crashed`` ..."""

    name: str
    at: datetime
    queue: str = ""
    id: str = ""  # of the job
    worker: str = ""
    data: Mapping[str, object] = {}
    root: str = ""  # the id of the first job of its chain, of a job that followed another
    parent: str = ""  # the id of the job that it followed


class ControlError(Exception):
    """A request that cannot be served: names the thing, what is wrong, what to do."""


class UnknownPoolError(ControlError):
    """No pool of that name is configured."""


def unknown_pool(name: str, pools: Iterable[str]) -> UnknownPoolError:
    """Return the refusal of a pool that there is not."""
    known = tuple(pools)
    message = f"no pool {name!r} is configured; there are: {', '.join(known)}"
    # Who names its queue, or one of its workers, begins with its name as a rule.
    begun = max((pool for pool in known if name.startswith(f"{pool}_")), key=len, default="")
    hint = f"did you mean {begun}?" if begun else nearest(name, known)
    return UnknownPoolError(f"{message}; {hint}" if hint else message)


class UnknownJobError(ControlError):
    """No job of that id is in the ledger."""


class UnknownWorkerError(ControlError):
    """No worker, and no pool, of that name is there."""


class ConflictError(ControlError):
    """It contradicts itself, or how things stand; the message says what, and the way out."""


class BusyError(ControlError):
    """It is being done already, for somebody else: wait for the end of that."""


class ElsewhereError(ControlError):
    """This supervisor has no workers: it is to be asked of one that has."""


class NoRunError(ControlError):
    """The pool has not been run on demand yet."""


class WrongStateError(ControlError):
    """The job is in a state that does not allow it; the message says which, and what does."""


class BadOrderError(ControlError):
    """The job cannot be accepted as it is; the message names the field."""


class UnknownScheduleError(ControlError):
    """No schedule of that name is known."""


class UnknownReplayError(ControlError):
    """No replay of that number is known."""


class UnknownPageError(ControlError):
    """The place where a page is to begin is none that an earlier answer named."""


class UnknownGroupError(ControlError):
    """No failed job is of that group of errors."""


def unknown_group(name: str) -> UnknownGroupError:
    """Return the refusal of a group that there is not: its name may be mistyped."""
    message = f"group: no dead letter is of a group {name!r:.80}; see `dlq groups`"
    return UnknownGroupError(message)


class BadScheduleError(ControlError):
    """The schedule cannot be as it was ordered; the message names the field."""


class FixedScheduleError(ControlError):
    """The schedule's name is taken, or it is in the configuration and changed there alone."""


class TakenError(ControlError):
    """The id belongs to a job of somebody else."""


def taken(job_id: str) -> TakenError:
    """Return the refusal of an order whose id, or key, somebody else's job has."""
    message = f"id: {job_id} is taken by a job that is not yours; choose another"
    return TakenError(message)


class NotNowError(ControlError):
    """The job cannot be stored at this moment (the broker is away): nothing was kept, try again."""


class BrokerAwayError(NotNowError):
    """What is asked for needs the broker, which cannot be reached now."""


class Control(Protocol):
    """The running coordinator, as its doors see it."""

    async def submit(self, order: Order, *, origin: str = "") -> JobRecord:
        """Enter and publish a job; returns once it is stored, and for sure to be published.

        While the broker is away its state is ``pending``. The same id again returns the job there
        is. Raises UnknownPoolError, BadOrderError and NotNowError.
        """

    async def submit_many(
        self, orders: Sequence[Order], *, origin: str = ""
    ) -> tuple[Entered | ControlError, ...]:
        """Enter many jobs in few commits; answers for each what came of it.

        Raises NotNowError where some of them may not be stored; the same orders again do no harm.
        """

    async def job(self, job_id: str) -> JobRecord:
        """Return one job with its history, by its id or the start of it that no other has.

        Raises UnknownJobError.
        """

    async def job_at(self, place: Relative) -> JobRecord | None:
        """Return the job of this very queue and id, without its history; None if it is gone.

        Ids are unique within a queue alone: of a relative of a job this is the right one.
        """

    async def jobs(self, wanted: JobFilter) -> tuple[JobRecord, ...]:
        """Return the newest jobs that fit, without their histories."""

    async def page(self, wanted: JobFilter) -> JobPage:
        """Return a page of the jobs that fit, without their histories."""

    async def family(self, job_id: str, *, limit: int) -> Family:
        """Return a job and what came of it, of which at most ``limit`` are shown one by one.

        Raises UnknownJobError.
        """

    async def status(self) -> Status:
        """Return the state of the house as of now."""

    async def incidents(self, worker: str | None, limit: int) -> tuple[Incident, ...]:
        """Return why workers were restarted, the newest first; of one worker if it is named."""

    @property
    def queues(self) -> Queues:
        """The desk for queues: hold them, empty them, clean up after them, and their figures."""

    @property
    def letters(self) -> Letters:
        """The desk for dead letters: looked at, sent again, taken back, kept, thrown away."""

    @property
    def logs(self) -> Logs:
        """The desk for logs."""

    @property
    def schedules(self) -> Schedules:
        """The desk for jobs that come by themselves."""

    @property
    def retries(self) -> Retries:
        """The desk for how jobs fare by attempts."""

    @property
    def pools(self) -> Pools:
        """The desk for how many workers there are, and for work on demand."""

    @property
    def steering(self) -> Steering:
        """The desk for jobs that people steer: retry, cancel, remove, promote, reprioritize."""

    def conditions(self) -> tuple[Condition, ...]:
        """Return why jobs are not consumed as they should be; asks nobody, answers at once."""

    def events(self, wanted: Wanted = EVERYTHING, after: str | None = None) -> Listening:
        """Listen to what happens from now on, or since the event of key ``after``.

        Who does not come for it in time loses the oldest of it, and is told how much.
        """
