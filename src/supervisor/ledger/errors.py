"""What can go wrong with the ledger: one error, its message says which file and what to do."""

PATIENCE = 1.0  # seconds between two tries of a ledger that did not take something


class LedgerError(Exception):
    """The ledger cannot be opened, read or written; nothing of the failed operation was kept."""
