"""What supervisor.yaml says, typed: the values everything else is built from.

Times are seconds, sizes bytes, folders absolute paths, whatever unit the file used.
"""

import enum
import ipaddress
from collections.abc import Mapping
from pathlib import Path

import msgspec

from consumers.chains import Step
from consumers.jobs import Priority
from consumers.limits import Limits, Rate
from consumers.retry import ReconnectPolicy, RetryPolicy
from supervisor.core.intake import Pace
from supervisor.core.retention import Rule
from supervisor.core.schedules import Timetable

MONTH = 30 * 86_400.0  # seconds


class RestartPolicy(enum.Enum):
    """When a worker that ended is started again.

    ``on-failure`` leaves a worker stopped that ended with exit code 0 by itself;
    ``unless-stopped`` restarts it unless an operator stopped it.
    """

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    UNLESS_STOPPED = "unless-stopped"


class RestartDelay(msgspec.Struct, frozen=True):
    """How long a crashed worker waits: ``delay`` doubling up to ``max``, forgiven when stable."""

    delay: float = 5.0
    max: float = 300.0
    stable: float = 60.0


class OnMemory(msgspec.Struct, frozen=True):
    """What follows when a job alone was too much for its worker's memory; neither: a crash."""

    dead: bool = False  # it is a dead letter at once
    requeue: str = ""  # it moves to the pool of this name


class Pool(msgspec.Struct, frozen=True):
    """Workers of one kind and the queue they consume."""

    name: str
    queue: str
    processor: str  # "": every job has one of `types`
    instances: int = 1
    concurrency: int = 1
    dead_letter: str | None = None  # None: the queue's name with _dlq
    memory: int | None = None  # soft limit: finish the job, then be replaced
    memory_hard: int | None = None  # killed at once; None: one and a half times the soft limit
    cpu: float = 1.0
    max_cpu: float | None = None
    restart: RestartPolicy = RestartPolicy.ALWAYS
    backoff: RestartDelay = RestartDelay()
    retry: RetryPolicy = RetryPolicy()
    timeout: float = 3600.0
    max_crashes: int = 3
    stalled_after: float | None = None  # None: heartbeat.timeout
    on_memory: OnMemory = OnMemory()
    limits: Limits = Limits()
    options: Mapping[str, object] = {}
    types: Mapping[str, str] = {}  # processors by the `type` of a job's body
    priority_map: Mapping[int, Priority] = {}  # what numbers mean as priorities; none: 1 to 5
    then: tuple[Step, ...] = ()  # what follows its jobs that do not say it themselves

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the names of all its processors, each once."""
        return tuple(dict.fromkeys(filter(None, (self.processor, *self.types.values()))))

    @property
    def needs_type(self) -> bool:
        """Answer whether a job without a type has no processor."""
        return bool(self.types) and not self.processor


class Heartbeat(msgspec.Struct, frozen=True):
    """How often workers beat, and how long silence lasts before they count as hung."""

    interval: float = 5.0
    timeout: float = 30.0


class Webhook(msgspec.Struct, frozen=True):
    """Where outcomes are posted; ``secret`` signs the body (HMAC-SHA256)."""

    url: str
    secret: str | None = None
    timeout: float = 10.0


class Notify(msgspec.Struct, frozen=True):
    """Who is told about outcomes, and in which language."""

    language: str = "en"  # en | pt-BR
    templates: Path | None = None  # a YAML file that overrides some of the texts
    log: bool = True
    webhooks: tuple[Webhook, ...] = ()


class Listen(msgspec.Struct, frozen=True):
    """An address of this machine; port 0 is any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Answer whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def words(self) -> str:
        """Return it as people write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Http(msgspec.Struct, frozen=True):
    """The HTTP API for programs elsewhere; the command line's socket needs none of it."""

    listen: Listen | None = None  # None: nowhere
    tokens: Path | None = None  # who may call
    worker_secret: str | None = None  # lets a cron line have jobs worked off, and nothing else
    body_limit: int = 8_000_000
    request_timeout: float = 30.0  # until a request has arrived, body included
    keep_alive: float = 15.0
    rate_limit: Rate | None = Rate(100, 1.0)  # requests of one caller; None: as many as they like
    max_streams: int = 100  # event streams at a time
    max_connections: int = 500


class Role(enum.Enum):
    """What a supervisor does: take jobs, work them off, or both."""

    API = "api"
    WORKER = "worker"
    ALL = "all"


class Logs(msgspec.Struct, frozen=True):
    """How much is logged, and in which shape."""

    level: str = "info"
    format: str = "auto"  # auto | console | json
    keep: int = 2_000_000  # bytes of a process' file, of which there may be two; 0: none


class Events(msgspec.Struct, frozen=True):
    """What is told to other programs through the broker."""

    exchange: str = "supervisor.events"  # nothing: they are not published
    only: tuple[str, ...] = ()  # the names of events, or families like worker.*; none: all


class Retention(msgspec.Struct, frozen=True):
    """How long finished jobs stay in the ledger, and rows of the intake table."""

    completed: Rule = Rule(MONTH, 100_000)
    failed: Rule = Rule()
    cancelled: Rule = Rule(MONTH, 100_000)
    removed: Rule = Rule(MONTH, 100_000)
    intake: Rule = Rule(MONTH)


class Settings(msgspec.Struct, frozen=True):
    """The whole configuration."""

    broker: str  # URL with credentials, or "embedded"
    state: Path
    ledger: str
    media: Path
    workers: Mapping[str, Pool]
    schedules: Mapping[str, Timetable] | None = {}  # None in an errand
    media_keep: float = 0.0  # seconds that results stay; 0: for ever
    media_quota: int = 0  # bytes that results may take; 0: as many as there is room for
    retention: Retention = Retention()
    intake: Pace = Pace()
    notify: Notify = Notify()
    heartbeat: Heartbeat = Heartbeat()
    reconnect: ReconnectPolicy = ReconnectPolicy()
    logs: Logs = Logs()
    http: Http = Http()
    events: Events = Events()
    hooks: tuple[str, ...] = ()  # the user's own functions, called with what happens
    hook_timeout: float = 10.0  # seconds that one of them may take
    role: Role = Role.ALL
    memory_check: float = 5.0
    min_free_disk: int = 500_000_000  # below it no new job begins; 0: it does not matter
    min_free_memory: int = 0
    metrics: float = 60.0
    stop_grace: float = 30.0  # how long a drain may take before workers are ended
    cancel_grace: float = 10.0  # how long a cancelled job may take to end before it is ended
    park_after: float = 600.0  # how long a delivery is in hand before its job is parked
    body_limit: int = 1_000_000
    body_warning: int = 100_000
    served: frozenset[str] = frozenset()  # in an errand: the pools that it is for; none: all are

    @property
    def own(self) -> Mapping[str, Pool]:
        """The pools whose queues, dead letters and rows are ours to look after.

        Of others we only know: their jobs may follow ours.
        """
        return {
            name: pool
            for name, pool in self.workers.items()
            if not self.served or name in self.served
        }

    @property
    def is_errand(self) -> bool:
        """Answer whether one pool is worked off, and that is all: no schedule is touched."""
        return self.schedules is None

    @property
    def log_folder(self) -> Path:
        """Where each process keeps its log lines."""
        return self.state / "logs"

    @property
    def socket(self) -> Path:
        """Where the running supervisor answers, and where its command line asks."""
        return self.state / "supervisor.sock"
