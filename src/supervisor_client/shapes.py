"""What a supervisor answers, as values. What a newer one adds is ignored; times are in seconds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

FINAL = frozenset({"completed", "failed", "cancelled", "removed"})  # states of jobs that are over


class _Said(msgspec.Struct, frozen=True, rename="camel"):
    """All answers: frozen, camelCase on the wire."""


class Failure(msgspec.Struct, frozen=True):
    """Why a job did not succeed; ``code`` is a short word for programs."""

    message: str
    code: str = ""
    hint: str = ""
    traceback: str = ""


class Attempt(_Said, frozen=True):
    """One run of a job; ``exit`` says how its worker died, if it did."""

    number: int
    worker: str
    started_at: datetime
    finished_at: datetime | None = None
    error: str = ""
    code: str = ""
    exit: str = ""


class Relative(_Said, frozen=True):
    """Another job of the same chain."""

    queue: str
    id: str


class Chain(_Said, frozen=True):
    """How a job and those that came of it stand: how many are in which state.

    ``is_open`` until all of them have ended and their user was told.
    """

    states: Mapping[str, int]
    is_open: bool

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.states.values())

    @property
    def completed(self) -> int:
        """How many of them are completed."""
        return self.states.get("completed", 0)


class JobRecord(_Said, frozen=True):
    """All that is known of one job; ``attempts`` counts those that failed."""

    id: str
    pool: str
    queue: str
    state: str  # pending delayed waiting active completed failed cancelled removed
    priority: int
    data: Any
    sender: str = msgspec.field(name="from", default="")
    noreply: bool = False
    attempts: int = 0
    crashes: int = 0
    progress: float = 0.0  # per cent
    note: str = ""
    worker: str = ""
    result: Mapping[str, Any] | None = None
    error: Failure | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    due_at: datetime | None = None
    name: str = ""
    max_attempts: int | None = None
    origin: str = ""
    parent: Relative | None = None  # the job that it follows
    root: Relative | None = None  # the first of its chain, which may be itself
    chain: Chain | None = None  # of the first of a chain that is shown by itself
    history: tuple[Attempt, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Answer whether it never runs again by itself."""
        return self.state in FINAL

    @property
    def returned(self) -> Mapping[str, Any]:
        """What its processor returned; of one that made files, ``{"files": [...]}``."""
        result = self.result or {}
        only: Mapping[str, Any] = result.get("data", {})
        return only if result.keys() == {"data"} else result


class Branch(_Said, frozen=True):
    """A job that came of another one; ``depth`` is 1 for those that followed it itself."""

    depth: int
    job: JobRecord


class Family(_Said, frozen=True):
    """A job and all that came of it: how they stand, the nearest of them, some that failed."""

    chain: Chain
    below: tuple[Branch, ...] = ()
    more: int = 0  # that are not in ``below``
    failed: tuple[JobRecord, ...] = ()


class JobPlace(_Said, frozen=True):
    """Where a waiting job stands: 1 is next; None where that is not known."""

    position: int | None = None
    starts_at: datetime | None = None
    is_approximate: bool = False


class JobStatus(_Said, frozen=True):
    """A job in few words; ``processed_on`` and ``finished_on`` are milliseconds since 1970."""

    id: str
    name: str
    data: Any
    state: str
    progress: float
    attempts_made: int
    processed_on: int | None = None
    finished_on: int | None = None
    returnvalue: Any = None  # what the processor returned
    failed_reason: str | None = None
    place: JobPlace | None = None


class JobList(_Said, frozen=True):
    """Some jobs; ``next_cursor`` asks for those that follow."""

    jobs: tuple[JobRecord, ...]
    next_cursor: str | None = None


class QueueStats(_Said, frozen=True):
    """What a queue holds."""

    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int


class QueueMetrics(_Said, frozen=True):
    """What a queue holds, with its name; ``total`` is what is not finished."""

    queue_name: str
    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int
    paused: int  # 1 or 0
    total: int


class QueueRecord(_Said, frozen=True):
    """All there is to say of a pool's queue; None: not known now."""

    queue: str
    pool: str
    paused: bool
    why: str
    ready: int | None
    active: int
    states: Mapping[str, int]
    oldest: float | None
    workers: int
    warnings: tuple[str, ...] = ()


class Pause(_Said, frozen=True):
    """Whether a pool is paused, and why."""

    pool: str
    queue: str
    paused: bool
    why: str = ""


class Drained(_Said, frozen=True):
    """How many messages, and how many known jobs, a drain removed."""

    pool: str
    queue: str
    messages: int
    jobs: int


class Cleaned(_Said, frozen=True):
    """How many jobs are gone for good; ``kept`` is how many like them their chains keep."""

    pool: str
    queue: str
    state: str
    jobs: int
    kept: int = 0


class Retried(_Said, frozen=True):
    """How many failed jobs run again, the last of them in so many seconds."""

    pool: str
    queue: str
    jobs: int
    seconds: float = 0.0


class ScheduleRecord(_Said, frozen=True):
    """A schedule, when it runs next, and how its last job ended."""

    name: str
    pool: str
    data: Any
    cron: str | None
    every: float | None
    zone: str
    priority: int
    missed: str
    at_most: int
    paused: bool
    source: str  # config: from supervisor.yaml, api: made by somebody
    last_at: datetime | None = None
    next_at: datetime | None = None
    next_runs: tuple[str, ...] = ()
    last_job: str = ""
    last_state: str | None = None
    warnings: tuple[str, ...] = ()


class WorkerStats(_Said, frozen=True):
    """How busy a worker is."""

    running: bool
    active_jobs: int
    max_concurrency: int
    worker_id: str


class Health(_Said, frozen=True):
    """The whole house in five numbers; active workers are idle or processing."""

    total_workers: int
    active_workers: int
    total_jobs: int
    success_rate: float
    average_uptime: float


class Event(msgspec.Struct, frozen=True):
    """One thing that happened; ``data`` has the event's own fields.

    ``key`` is what to go on after, when the stream is opened again. An event named ``missed`` is
    the stream's own: so many are lost (``data["missed"]``; None: nobody knows).
    """

    name: str
    key: str = ""
    at: datetime | None = None
    queue: str = ""
    id: str = ""  # of the job
    worker: str = ""
    data: Mapping[str, Any] = {}
