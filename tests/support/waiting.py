"""Waiting for something outside this process, always with a deadline."""

import time
from collections.abc import Callable

BETWEEN_LOOKS = 0.02  # seconds


def wait_until(is_over: Callable[[], object], *, within: float, what: str) -> None:
    """Look again and again until `is_over()` is true; TimeoutError after `within` seconds."""
    deadline = time.monotonic() + within
    while not is_over():
        if time.monotonic() > deadline:
            message = f"waited {within:g} s in vain for {what}"
            raise TimeoutError(message)
        time.sleep(BETWEEN_LOOKS)
