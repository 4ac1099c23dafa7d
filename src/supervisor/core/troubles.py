"""What can befall the place where everything is kept: faults of the machine, never of a job."""

import enum
from dataclasses import dataclass


class Fault(enum.Enum):
    """What keeps a store from being read or written."""

    BUSY = "busy"  # another program has held it for too long
    FULL = "full"
    READ_ONLY = "read-only"
    UNUSABLE = "unusable"  # its disk or its folder fails us
    GONE = "gone"  # the file was removed or replaced while we had it open
    AWAY = "away"  # its server cannot be reached
    REFUSED = "refused"  # its server does not let us in
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault, and in words: which file, what is wrong, what to do."""

    fault: Fault
    why: str

    @property
    def is_lasting(self) -> bool:
        """Answer whether only a person can end it: a damaged file does not heal."""
        return self.fault is Fault.DAMAGED


class StoreError(Exception):
    """What was to be kept was not; ``trouble`` says which fault of the machine is behind it.

    Without one, the fault is in this very operation: another may succeed.
    """

    def __init__(self, message: str, trouble: Trouble | None = None) -> None:
        super().__init__(message)
        self.trouble = trouble
