"""What the coordinator hears: everything that can change the fleet, as values.

An event about a process names its *incarnation*, the how-many-eth process of the worker it is;
news of an earlier one is ignored. The shell owes three things: ``Spawned`` comes before anything
the process itself says; ``Exited`` comes after everything it said; and ``Ticked`` comes after
everything that has arrived, or a busy coordinator would take its own delay for a hang.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

_ASKED_TO_LEAVE = frozenset({2, 15})  # SIGINT, SIGTERM


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: by ``code``, by ``signal``, or (both None) nobody knows.

    ``words`` says it for people: "killed by SIGKILL", "exit code 1".
    """

    code: int | None
    signal: int | None
    words: str
    is_out_of_memory: bool = False  # the kernel says that it killed for want of memory

    @property
    def is_unknown(self) -> bool:
        """Answer whether the status was lost; that alone is no crash."""
        return self.code is None and self.signal is None

    @property
    def is_clean(self) -> bool:
        """Answer whether the process left in order."""
        return self.code == 0

    @property
    def was_asked(self) -> bool:
        """Answer whether it ended by a signal that asks a process to leave."""
        return self.signal in _ASKED_TO_LEAVE


@dataclass(frozen=True, slots=True)
class StartedJob:
    """A job whose processor was called: only such a job can be blamed."""

    queue: str
    id: str
    attempt: int
    started_at: float  # monotonic seconds


@dataclass(frozen=True, slots=True)
class Spawned:
    """The ordered process exists."""

    worker: str
    incarnation: int
    pid: int


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """The ordered process could not be made."""

    worker: str
    incarnation: int
    why: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The process has imported its processor and is about to consume."""

    worker: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Beaten:
    """The process sent a heartbeat; ``why`` says why it does not consume, if it does not."""

    worker: str
    incarnation: int
    consuming: bool
    why: str = ""
    holds: Mapping[str, str] = field(default_factory=dict)  # by name, why it takes nothing new


@dataclass(frozen=True, slots=True)
class JobStarted:
    """A processor is about to be called."""

    worker: str
    incarnation: int
    queue: str
    job: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A processor is done with a job, whatever came of it."""

    worker: str
    incarnation: int
    queue: str
    job: str


@dataclass(frozen=True, slots=True)
class CancelIgnored:
    """A job that was cancelled went on past the time it had to stop."""

    worker: str
    incarnation: int
    queue: str
    job: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What a process and its children use: bytes, and shares of one processor (1.0 = all)."""

    worker: str
    incarnation: int
    memory: int
    cpu: float


@dataclass(frozen=True, slots=True)
class RestartAsked:
    """The process reports a critical error: it cannot go on and wants to be replaced."""

    worker: str
    incarnation: int
    why: str


@dataclass(frozen=True, slots=True)
class Garbled:
    """Something the process said made no sense; ``is_final``: it can be understood no more."""

    worker: str
    incarnation: int
    why: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class Left:
    """The process said goodbye: it gave back what it had not finished, and is about to exit."""

    worker: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is dead, and everything it said has been heard."""

    worker: str
    incarnation: int
    exit: Exit


@dataclass(frozen=True, slots=True)
class RestartWorkerAsked:
    """An operator wants a new process for this worker, or any process if it is down."""

    worker: str
    why: str


@dataclass(frozen=True, slots=True)
class StopWorkerAsked:
    """An operator wants this worker down: the first time drained, the second time now."""

    worker: str


@dataclass(frozen=True, slots=True)
class ScaleAsked:
    """A pool is to have so many workers.

    Those above leave when their jobs are done, or (not ``is_patient``) within the stop's grace.
    """

    pool: str
    instances: int
    why: str
    is_patient: bool = True


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The whole house is to stop: the first time drained, the second time now."""


@dataclass(frozen=True, slots=True)
class StopNowAsked:
    """The whole house is to stop without finishing anything."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """Nothing happened but time."""


HouseEvent = StopAsked | StopNowAsked | ScaleAsked | Ticked
OperatorEvent = RestartWorkerAsked | StopWorkerAsked
ProcessEvent = Spawned | SpawnFailed | Exited  # what is seen of a process from outside
Condition = Measured | RestartAsked | Garbled  # what may condemn a process
News = Ready | Beaten | JobStarted | JobEnded | CancelIgnored | Left | Condition
Event = HouseEvent | OperatorEvent | ProcessEvent | News
