"""The kinds of jobs in a chaos run, and how each of them has to end."""

import enum


class Kind(enum.Enum):
    """What a job does to its worker."""

    GOOD = "good"
    SLOW = "slow"
    FLAKY = "flaky"  # fails a few times, then succeeds
    CHILDREN = "children"  # leaves a process behind, in a session of its own
    FAILING = "failing"  # always
    REJECTING = "rejecting"
    GARBAGE = "garbage"  # no job at all
    EXIT = "exit"
    KILL = "kill"
    FAULT = "fault"
    ABORT = "abort"
    SWELL = "swell"  # over the hard memory limit
    BLOCK = "block"  # its thread, or its worker's loop, for ever
    FREEZE = "freeze"  # its process: SIGSTOP

    @property
    def is_innocent(self) -> bool:
        """Answer whether such a job has to be completed."""
        return self in INNOCENT

    @property
    def ends_workers(self) -> bool:
        """Answer whether every run of such a job costs its worker's life."""
        return self in ENDS_WORKERS


INNOCENT = frozenset({Kind.GOOD, Kind.SLOW, Kind.FLAKY, Kind.CHILDREN})
KILLERS = (Kind.EXIT, Kind.KILL, Kind.FAULT, Kind.ABORT, Kind.SWELL)
HANGING = (Kind.BLOCK, Kind.FREEZE)
ENDS_WORKERS = frozenset({*KILLERS, *HANGING})
