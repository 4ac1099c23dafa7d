"""What the coordinator orders: decisions as values, performed by the shell one after another.

The order matters: a ``Blame`` is committed before the ``Spawn`` that follows it is performed,
or a job that kills its worker could do so for ever.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.core.events import Exit, StartedJob
from supervisor.core.records import Charge


class Cause(enum.Enum):
    """Why a worker was ended or replaced, in one word for metrics, logs and incidents."""

    CRASH = "crash"
    MEMORY = "memory"
    CPU = "cpu"
    HANG = "hang"
    TIMEOUT = "timeout"  # also a cancelled job that did not stop in its time
    LIFETIME = "lifetime"
    OPERATOR = "operator"
    SCALE = "scale"  # the pool is to have fewer workers
    RELOAD = "reload"
    ERROR = "error"  # the worker's own wish, after a critical error
    STOP = "stop"  # the whole house


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a process for this worker; answered by ``Spawned`` or ``SpawnFailed``."""

    worker: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Tell the process to take nothing new, finish what it has, and leave."""

    worker: str
    why: str


@dataclass(frozen=True, slots=True)
class Terminate:
    """Send TERM; kill the process and all it started if it is there after ``grace`` seconds."""

    worker: str
    grace: float
    why: str


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the process and all it started, now."""

    worker: str
    why: str


@dataclass(frozen=True, slots=True)
class DumpAndKill:
    """Have the process write down its stacks, then kill it and all it started."""

    worker: str
    why: str


@dataclass(frozen=True, slots=True)
class Blame:
    """Count one death for each of these jobs, durably, before anything else is done."""

    worker: str
    jobs: tuple[StartedJob, ...]
    exit: Exit
    why: str
    charge: Charge = Charge.CRASH


@dataclass(frozen=True, slots=True)
class Stall:
    """Tell that these jobs are stalled: their worker is silent. It may be ended next."""

    worker: str
    jobs: tuple[StartedJob, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Release:
    """These jobs lost their worker through no fault of theirs; they run again."""

    worker: str
    jobs: tuple[StartedJob, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Record:
    """Write an incident; the shell adds the moment, and the stack if one was taken."""

    worker: str
    pool: str
    cause: Cause
    why: str
    exit: str = ""
    pid: int = 0
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Announce:
    """Log a line and publish an event, such as ``worker.ready`` or ``worker.crashed``."""

    name: str
    worker: str
    fields: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """Every worker is down after a stop: the coordinator may leave."""


Ordered = Spawn | Drain | Terminate | Kill | DumpAndKill
Command = Ordered | Blame | Stall | Release | Record | Announce | Finished
