"""What the doors (HTTP API, CLI, demo) ask of the running coordinator, and the shapes they show."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from consumers.jobs import Priority
from supervisor.core.readiness import Condition
from supervisor.core.records import Incident, JobFilter, JobRecord


class Order(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A job somebody wants done: the body of ``POST /api/jobs``."""

    pool: str
    data: Mapping[str, object]
    id: str | None = None  # also the idempotency key
    priority: Priority | str = Priority.NORMAL
    delay: float = 0.0  # seconds


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


class Event(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One thing that happened: ``active``, ``completed``, ``worker.crashed`` ..."""

    name: str
    at: datetime
    queue: str = ""
    id: str = ""  # of the job
    worker: str = ""
    data: Mapping[str, object] = {}


class ControlError(Exception):
    """A request that cannot be served: names the thing, what is wrong, what to do."""


class UnknownPoolError(ControlError):
    """No pool of that name is configured."""


class UnknownJobError(ControlError):
    """No job of that id is in the ledger."""


class BadOrderError(ControlError):
    """The job cannot be accepted as it is; the message names the field."""


class NotNowError(ControlError):
    """The job cannot be stored at this moment (the broker is away): nothing was kept, try again."""


class Control(Protocol):
    """The running coordinator, as its doors see it."""

    async def submit(self, order: Order) -> JobRecord:
        """Enter and publish a job; returns once it is stored.

        The same id again returns the job there is. Raises UnknownPoolError, BadOrderError and
        NotNowError.
        """

    async def job(self, job_id: str) -> JobRecord:
        """Return one job with its history, by its id or the start of it that no other has.

        Raises UnknownJobError.
        """

    async def jobs(self, wanted: JobFilter) -> tuple[JobRecord, ...]:
        """Return the newest jobs that fit, without their histories."""

    async def status(self) -> Status:
        """Return the state of the house as of now."""

    async def incidents(self, worker: str | None, limit: int) -> tuple[Incident, ...]:
        """Return why workers were restarted, the newest first; of one worker if it is named."""

    def conditions(self) -> tuple[Condition, ...]:
        """Return why jobs are not consumed as they should be; asks nobody, answers at once."""

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens from now on, until the coordinator stops; slow readers lose some."""
