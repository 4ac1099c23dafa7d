"""Whether the ledger can be written: in trouble from the first refusal, well after two probes.

Whoever reads or writes tells what befell it; all on the loop's thread. One place knows, so that
one line of the log tells of it, however many writes wait.
"""

import sqlite3
from collections.abc import Callable

from supervisor.core.troubles import Fault, Trouble

_FAULTS = {
    sqlite3.SQLITE_BUSY: Fault.BUSY,
    sqlite3.SQLITE_LOCKED: Fault.BUSY,
    sqlite3.SQLITE_PROTOCOL: Fault.BUSY,
    sqlite3.SQLITE_FULL: Fault.FULL,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
    sqlite3.SQLITE_PERM: Fault.READ_ONLY,
    sqlite3.SQLITE_IOERR: Fault.UNUSABLE,
    sqlite3.SQLITE_CANTOPEN: Fault.UNUSABLE,
    sqlite3.SQLITE_CORRUPT: Fault.DAMAGED,
    sqlite3.SQLITE_NOTADB: Fault.DAMAGED,
}


class Troubles:
    """The ledger's trouble, if it is in any."""

    def __init__(self) -> None:
        self.now: Trouble | None = None
        self.changed: Callable[[], None] = lambda: None
        self._is_quiet = True  # nothing was refused since the last probe

    def refused(self, trouble: Trouble) -> None:
        """Note that something was not read or written; the same fault again is no news."""
        self._is_quiet = False
        now = self.now
        if now is None or (now.fault is not trouble.fault and not now.is_lasting):
            self.now = trouble
            self.changed()

    def probed(self) -> None:
        """Note that a probe was written.

        The second one without a refusal in between ends the trouble: a disk that has room for a
        probe and none for what waits would otherwise end it again and again.
        """
        if self.now is None or self.now.is_lasting:
            return
        if self._is_quiet:
            self.now = None
            self.changed()
        self._is_quiet = True


def fault_of(error: BaseException | None) -> Fault | None:
    """Return what an error of SQLite says about the file; None if it is about the operation."""
    code = getattr(error, "sqlite_errorcode", None)
    # The low byte is the kind, what is above says more precisely what happened.
    return None if code is None else _FAULTS.get(code & 0xFF)
