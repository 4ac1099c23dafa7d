"""The stacks a worker writes down: when asked, and when it crashes in C code.

The worker's faulthandler writes them from a signal handler in C, so it works while the worker's
interpreter is held. These functions block.
"""

import time
from pathlib import Path

BETWEEN_LOOKS = 0.02  # seconds
QUIET = 3  # looks without growth that mean it is finished
LIMIT = 256 * 1024  # bytes kept of a file


def await_growth(path: Path, before: int, *, wait: float) -> str:
    """Return what a file of ``before`` bytes gained, once it grows no more or time is up."""
    size, quiet = before, 0
    until = time.monotonic() + wait
    while time.monotonic() < until and quiet < QUIET:
        time.sleep(BETWEEN_LOOKS)
        last, size = size, measure(path)
        quiet = quiet + 1 if before < size == last else 0
    return read(path, start=before)


def read(path: Path, *, start: int = 0) -> str:
    """Return what is in a file of stacks from ``start`` on; empty when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(LIMIT).decode(errors="replace")
    except FileNotFoundError:
        return ""


def measure(path: Path) -> int:
    """Return the size of a file in bytes; 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
