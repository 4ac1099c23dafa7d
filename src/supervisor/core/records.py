"""What is remembered about jobs, notices and incidents: the shapes of ledger, API and CLI."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from typing_extensions import override

from consumers.chains import Step
from consumers.jobs import ONE_TO_FIVE, Faults, Priority, Properties, Scale
from consumers.limits import NONE, Limits
from consumers.outcome import Failure
from consumers.topology import PoolQueues


@dataclass(frozen=True, slots=True)
class PoolCard:
    """What the coordinator's parts know a pool by."""

    name: str
    queues: PoolQueues
    max_crashes: int = 3  # workers a job may take down before it is a dead letter
    timeout: float = 3600.0  # seconds a job may run
    # What follows when a job was alone in a worker that needed too much memory:
    dead_by_memory: bool = False  # it is a dead letter at once
    roomier: "PoolCard | None" = None  # it moves to this pool
    limits: Limits = NONE
    scale: Scale = field(default_factory=lambda: ONE_TO_FIVE)  # what numbers mean as priorities
    then: tuple[Step, ...] = ()  # what follows its jobs that do not say it themselves
    types: tuple[str, ...] = ()  # of its jobs, where it has several
    needs_type: bool = False  # of a job: it has a processor for these types alone


class Charge(enum.Enum):
    """What a job is blamed for; the value is the code of the run that ended so."""

    CRASH = "crashed"  # its worker died or hung
    TIMEOUT = "timeout"  # it ran too long, and its worker was killed for it
    MEMORY = "out_of_memory"  # its worker was killed for want of memory


class JobState(enum.Enum):
    """Where a job is in its life."""

    PENDING = "pending"
    DELAYED = "delayed"
    WAITING = "waiting"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REMOVED = "removed"

    @property
    def is_final(self) -> bool:
        """Answer whether the job never runs again by itself."""
        return self in FINAL

    @classmethod
    @override
    def _missing_(cls, value: object) -> "JobState | None":
        """Take the word that other job systems have."""
        return cls.ACTIVE if value == "processing" else None


FINAL = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.REMOVED})


class _Record(msgspec.Struct, frozen=True, rename="camel"):
    """All records: frozen, camelCase on the wire."""


class Attempt(_Record, frozen=True):
    """One run of a job. ``exit`` says how the worker died, if it did during this run."""

    number: int
    worker: str
    started_at: datetime
    finished_at: datetime | None = None
    error: str = ""
    code: str = ""
    traceback: str = ""
    exit: str = ""


class Relative(_Record, frozen=True):
    """Another job of the same chain."""

    queue: str
    id: str


class Kin(_Record, frozen=True):
    """Of which jobs one came, by their ids: the first of its chain, and the one it followed.

    Of a job that followed none both are empty, also if others followed it.
    """

    root: str = ""
    parent: str = ""


NO_KIN = Kin()


class Chain(_Record, frozen=True):
    """How a job and all that came of it stand: jobs by state, the first one included.

    ``is_open`` until all of them have ended and their user was told.
    """

    states: Mapping[JobState, int]
    is_open: bool


class JobRecord(_Record, frozen=True):
    """All that is known of one job. ``data`` is the body decoded, or its text if it is not JSON."""

    id: str
    pool: str
    queue: str
    state: JobState
    priority: Priority
    data: object
    sender: str = msgspec.field(name="from", default="")
    noreply: bool = False
    attempts: int = 0  # processor failures
    crashes: int = 0  # workers that died, hung or were killed for its timeout while running it
    memory_crashes: int = 0  # workers that needed too much memory while running it
    seq: int = 0
    progress: float = 0.0  # per cent
    note: str = ""
    worker: str = ""
    result: Mapping[str, object] | None = None
    error: Failure | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    due_at: datetime | None = None  # when a delayed job is ready
    name: str = ""  # its type, where a pool has several
    max_attempts: int | None = None  # None: as its pool has it
    origin: str = ""  # who entered it, if not a person: schedule:NAME, token:NAME, ...
    parent: Relative | None = None  # the job that it follows
    root: Relative | None = None  # the first of its chain, which may be itself
    chain: Chain | None = None  # of the first of a chain: how all of it stands; filled by `show`
    history: tuple[Attempt, ...] = ()  # filled by `show`, empty in lists
    lines: tuple[str, ...] = ()  # what the job logged; filled by `show`

    @property
    def returned(self) -> object:
        """Return what its processor returned; of one that made files, those and what it said."""
        said = self.result
        return said["data"] if said is not None and said.keys() == {"data"} else said

    @property
    def kin(self) -> Kin:
        """Return of which jobs it came."""
        if self.parent is None:
            return NO_KIN
        return Kin("" if self.root is None else self.root.id, self.parent.id)


class NewJob(_Record, frozen=True):
    """A job as it is entered before it is published."""

    id: str
    pool: str
    queue: str
    body: bytes
    properties: Properties
    priority: Priority = Priority.NORMAL
    sender: str = ""
    noreply: bool = False
    delay: float = 0.0  # seconds
    name: str = ""  # its type, where a pool has several
    max_attempts: int | None = None  # None: as its pool has it
    origin: str = ""  # who entered it, if not a person: schedule:NAME, intake, ...
    post_at: datetime | None = None  # it is not published before
    limit_key: str = ""  # on whose account it runs
    parent: Relative | None = None  # the job that it follows
    root: Relative | None = None  # the first of its chain

    def record(self, state: JobState, *, created_at: datetime) -> JobRecord:
        """Return the job as it is right after it was entered, without asking the ledger."""
        due_at = created_at + timedelta(seconds=self.delay) if self.delay > 0 else None
        return JobRecord(
            id=self.id,
            pool=self.pool,
            queue=self.queue,
            state=state,
            priority=self.priority,
            data=msgspec.json.decode(self.body),
            sender=self.sender,
            noreply=self.noreply,
            created_at=created_at,
            due_at=due_at,
            name=self.name,
            max_attempts=self.max_attempts,
            origin=self.origin,
            parent=self.parent,
            root=self.root,
        )


class Known(_Record, frozen=True):
    """What a claim is judged by: the job as committed.

    ``confirmed`` says that copy ``seq`` is stored in the broker, so that older ones are stale.
    """

    id: str
    state: JobState
    seq: int = 0
    confirmed: bool = True
    attempts: int = 0
    crashes: int = 0  # without those for want of memory
    timeouts: int = 0  # how many of them were for its running too long
    memory_crashes: int = 0
    crash: str = ""  # how the last worker died
    charge: Charge = Charge.CRASH  # what that was counted as
    is_shared: bool = False  # that worker had started other jobs too: any of them may have done it
    moved_to: str = ""  # the pool that has it now, if it is not that of its queue
    suspect_cleared: bool = False  # the delay after its last crash has been served
    given_up: Failure | None = None  # its last attempt failed, but no dead letter was seen yet
    faults: Faults = Faults()  # of the machine, that it met
    is_straight_back: bool = False  # its last run met one, and it was not delayed since
    slot_at: int | None = None  # the moment (microseconds) that is kept free for its next run
    elsewhere: str = ""  # the living coordinator, another than we, that has it in hand
    kin: Kin = NO_KIN

    @property
    def deaths(self) -> int:
        """Return how many workers it is blamed for."""
        return self.crashes + self.memory_crashes

    @property
    def was_blamed(self) -> bool:
        """Answer whether a worker died of it, perhaps in a pool it has left since."""
        return self.deaths > 0 or self.crash != ""


class Notice(_Record, frozen=True):
    """One message to one user about one job, as it waits in the outbox.

    ``key`` is the idempotency key: a notice may be delivered twice, never with another key.
    ``body`` is the webhook body; ``text`` the sentence for people.
    """

    key: str
    event: str  # job.completed | job.failed
    sink: str  # which of the configured sinks
    queue: str
    job_id: str
    sender: str
    text: str
    body: bytes
    deliveries: int = 0  # tries so far
    due_at: datetime | None = None
    delivered_at: datetime | None = None
    error: str = ""


class Incident(_Record, frozen=True):
    """Why a worker was restarted, with the stack it hung in."""

    worker: str = msgspec.field(name="workerId")
    pool: str
    cause: str  # crash memory cpu hang timeout lifetime operator reload error stop
    why: str = msgspec.field(name="error")
    at: datetime = msgspec.field(name="timestamp")
    exit: str = ""
    pid: int = 0
    jobs: tuple[str, ...] = ()
    stack: str = ""


class JobFilter(_Record, frozen=True):
    """Which jobs to list, newest first unless ``oldest``; what is None does not matter."""

    pool: str | None = None
    state: JobState | None = None
    limit: int = 50
    name: str | None = None  # its type
    sender: str | None = None
    since: datetime | None = None  # entered then or later
    until: datetime | None = None  # entered before
    group: str | None = None  # of errors
    origin: str | None = None
    parent: Relative | None = None  # they follow it
    root: Relative | None = None  # they are of its chain, itself included
    oldest: bool = False
    after: int | None = None  # where the page before ended


class JobPage(_Record, frozen=True):
    """Some jobs of a list; ``next_number`` is where the next page goes on, None on the last."""

    jobs: tuple[JobRecord, ...]
    next_number: int | None = None


class Branch(_Record, frozen=True):
    """A job that came of another one; ``depth`` is 1 for those that followed it itself."""

    depth: int
    job: JobRecord


class Family(_Record, frozen=True):
    """A job and all that came of it, as a tree.

    ``chain`` counts them by state, the job itself included. ``below`` has the generations next to
    it, each job before what came of it; ``more`` are not shown. ``failed`` are some that failed
    for good, the oldest first.
    """

    chain: Chain
    below: tuple[Branch, ...] = ()
    more: int = 0
    failed: tuple[JobRecord, ...] = ()
