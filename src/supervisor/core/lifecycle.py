"""The life of a worker, as one table: in this state, at this signal, that state follows.

A worker is a *slot*, `download-1`, which one process after another fills. Its state answers the
one question operators ask first: is somebody working there, and if not, what is being done about
it? A slot is `starting` until its process says that it is ready, then `idle` or, with a job in
hand, `processing`; these two together are what people call *running*.

A process can leave that life in three ways. It may **die**, and the slot is `crashed` while it
waits out its delay. It may be **replaced**: by its own wish after a critical error (`error`), or
because it grew too big, hung, or an operator said so (`restarting`). Or it may be **stopped**, by
an operator or with the whole house (`stopping`, then `stopped`). A process that cannot work as
it is configured leaves its slot `failed`: it is tried again at the longest delay only.

Two rules keep this honest:

1. Everything that changes a worker's state stands in the table below. Nobody assigns a state;
   they send a signal and get the state that follows.
2. A pair that is not in the table is a mistake in the program. It raises `IllegalSignalError`,
   and nothing has changed.

A process on its way out may still talk: it finishes a job, says that it is ready, complains. Such
news arrives in `error`, `restarting` and `stopping` and changes nothing; that is why those rows
lead to themselves. A start that was ordered just before a stop is the same case the other way
round: the process appears in `stopping`, and is ended at once.

The table does not know *when* a signal is due. How long a crashed worker waits is decided in
`restart`, when a worker counts as hung in `health`.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType


class WorkerState(enum.Enum):
    """Where a worker is in its life; the values are the words people and programs see."""

    STARTING = "starting"
    IDLE = "idle"
    PROCESSING = "processing"
    ERROR = "error"
    CRASHED = "crashed"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_running(self) -> bool:
        """Answer whether the worker takes jobs: it is idle or processing."""
        return self in (WorkerState.IDLE, WorkerState.PROCESSING)


class Signal(enum.Enum):
    """What can happen in a worker's life."""

    ORDER = "order"
    SPAWN = "spawn"
    READY = "ready"
    WORK = "work"
    REST = "rest"
    COMPLAIN = "complain"
    REPLACE = "replace"
    STOP = "stop"
    DIE = "die"
    END = "end"
    GIVE_UP = "give up"


STATE_MEANINGS: Mapping[WorkerState, str] = MappingProxyType(
    {
        WorkerState.STARTING: "its process is coming up: it imports its processor",
        WorkerState.IDLE: "it is ready and has no job in hand",
        WorkerState.PROCESSING: "it has at least one job in hand",
        WorkerState.ERROR: "it reported a critical error and is being replaced at once",
        WorkerState.CRASHED: "its process died; the next one waits out its delay",
        WorkerState.RESTARTING: "its process is being replaced on purpose, or the next is ordered",
        WorkerState.STOPPING: "it finishes what it has in hand, then stays down",
        WorkerState.STOPPED: "it is down, and stays down until an operator starts it",
        WorkerState.FAILED: "it cannot work as configured; tried again at the longest delay",
    }
)

SIGNAL_MEANINGS: Mapping[Signal, str] = MappingProxyType(
    {
        Signal.ORDER: "a new process is ordered",
        Signal.SPAWN: "the ordered process exists",
        Signal.READY: "the process says that it is about to consume",
        Signal.WORK: "a job was started",
        Signal.REST: "the last job in hand ended",
        Signal.COMPLAIN: "the process reports a critical error",
        Signal.REPLACE: "the process is to be replaced: limit, hang, operator",
        Signal.STOP: "the worker is to stop: operator, or the whole house",
        Signal.DIE: "the process is gone, or could not be started; a delay begins",
        Signal.END: "the process is gone and is not to be replaced",
        Signal.GIVE_UP: "the process is gone and said that it can never work like this",
    }
)

_STATE, _ON = WorkerState, Signal

# How any process can end, whatever it was doing.
_DEATHS = {
    _ON.DIE: _STATE.CRASHED,
    _ON.END: _STATE.STOPPED,
    _ON.GIVE_UP: _STATE.FAILED,
}
# What can be done to any process that is not on its way out yet.
_INTERVENTIONS = {
    _ON.COMPLAIN: _STATE.ERROR,
    _ON.REPLACE: _STATE.RESTARTING,
    _ON.STOP: _STATE.STOPPING,
}


def _late_news(state: WorkerState) -> dict[Signal, WorkerState]:
    """Return what a process on its way out may still say; it stays on its way."""
    return dict.fromkeys((_ON.READY, _ON.WORK, _ON.REST, _ON.COMPLAIN), state)


TABLE: Mapping[WorkerState, Mapping[Signal, WorkerState]] = MappingProxyType(
    {
        _STATE.STARTING: {
            _ON.SPAWN: _STATE.STARTING,
            _ON.READY: _STATE.IDLE,
            **_INTERVENTIONS,
            **_DEATHS,
        },
        _STATE.IDLE: {
            _ON.WORK: _STATE.PROCESSING,
            **_INTERVENTIONS,
            **_DEATHS,
        },
        _STATE.PROCESSING: {
            _ON.WORK: _STATE.PROCESSING,
            _ON.REST: _STATE.IDLE,
            **_INTERVENTIONS,
            **_DEATHS,
        },
        _STATE.ERROR: {
            **_late_news(_STATE.ERROR),
            _ON.STOP: _STATE.STOPPING,
            _ON.ORDER: _STATE.RESTARTING,
        },
        _STATE.RESTARTING: {
            **_late_news(_STATE.RESTARTING),
            _ON.SPAWN: _STATE.STARTING,
            _ON.REPLACE: _STATE.RESTARTING,
            _ON.STOP: _STATE.STOPPING,
            **_DEATHS,
            _ON.ORDER: _STATE.RESTARTING,
        },
        _STATE.STOPPING: {
            **_late_news(_STATE.STOPPING),
            _ON.SPAWN: _STATE.STOPPING,
            _ON.REPLACE: _STATE.RESTARTING,  # the operator changed their mind
            _ON.STOP: _STATE.STOPPING,
            _ON.END: _STATE.STOPPED,
        },
        _STATE.CRASHED: {_ON.ORDER: _STATE.RESTARTING, _ON.STOP: _STATE.STOPPED},
        _STATE.STOPPED: {_ON.ORDER: _STATE.RESTARTING, _ON.STOP: _STATE.STOPPED},
        _STATE.FAILED: {_ON.ORDER: _STATE.RESTARTING, _ON.STOP: _STATE.STOPPED},
    }
)


class IllegalSignalError(Exception):
    """A signal that cannot happen in this state; the worker is as it was."""

    def __init__(self, state: WorkerState, signal: Signal) -> None:
        possible = ", ".join(known.value for known in TABLE[state])
        super().__init__(
            f"a worker that is {state.value} cannot get the signal {signal.value!r}; "
            f"possible are: {possible}"
        )
        self.state = state
        self.signal = signal


def follow(state: WorkerState, signal: Signal) -> WorkerState:
    """Return the state that follows.

    Raises:
        IllegalSignalError: if the table has no such pair.
    """
    following = TABLE[state].get(signal)
    if following is None:
        raise IllegalSignalError(state, signal)
    return following
