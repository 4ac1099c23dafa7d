"""What supervisor.yaml says, typed: the values everything else is built from.

Times are seconds, sizes bytes, folders absolute paths, whatever unit the file used.
"""

import enum
from collections.abc import Mapping
from pathlib import Path

import msgspec

from consumers.retry import ReconnectPolicy, RetryPolicy


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
    processor: str
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
    on_memory: OnMemory = OnMemory()
    options: Mapping[str, object] = {}


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


class Logs(msgspec.Struct, frozen=True):
    """How much is logged, and in which shape."""

    level: str = "info"
    format: str = "auto"  # auto | console | json


class Settings(msgspec.Struct, frozen=True):
    """The whole configuration."""

    broker: str  # URL with credentials, or "embedded"
    state: Path
    ledger: str
    media: Path
    workers: Mapping[str, Pool]
    media_keep: float = 0.0  # seconds that results stay; 0: for ever
    media_quota: int = 0  # bytes that results may take; 0: as many as there is room for
    notify: Notify = Notify()
    heartbeat: Heartbeat = Heartbeat()
    reconnect: ReconnectPolicy = ReconnectPolicy()
    logs: Logs = Logs()
    memory_check: float = 5.0
    min_free_disk: int = 500_000_000  # below it no new job begins; 0: it does not matter
    min_free_memory: int = 0
    metrics: float = 60.0
    stop_grace: float = 30.0  # how long a drain may take before workers are ended
    park_after: float = 600.0  # how long a delivery is in hand before its job is parked
    body_limit: int = 1_000_000
    body_warning: int = 100_000

    @property
    def socket(self) -> Path:
        """Where the running supervisor answers, and where its command line asks."""
        return self.state / "supervisor.sock"
