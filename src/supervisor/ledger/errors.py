"""What can go wrong with the ledger: one error, its message says which file and what to do."""

from supervisor.core.troubles import StoreError

PATIENCE = 1.0  # seconds between two tries of a ledger that did not take something


class LedgerError(StoreError):
    """The ledger cannot be opened, read or written; nothing of the failed operation was kept."""


class UnwritableError(LedgerError):
    """No ledger of this kind ever takes it, however often it is tried."""


class LedgerClosedError(LedgerError):
    """The ledger was closed: nothing is ever written any more."""
