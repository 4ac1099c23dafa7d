"""The ledger's migrations, oldest first under ``versions``."""
