"""The broker port and its two adapters."""
