"""Waiting for something outside this process, always with a deadline."""

import time
from collections.abc import Callable

FIRST_LOOKS = 0.01  # seconds between them
LATER_LOOKS = 0.06


def wait_until(is_over: Callable[[], object], *, within: float, what: str) -> None:
    """Look again and again until `is_over()` is true; TimeoutError after `within` seconds."""
    since = time.monotonic()
    while not is_over():
        waited = time.monotonic() - since
        if waited > within:
            message = f"waited {within:g} s in vain for {what}"
            raise TimeoutError(message)
        # A look may cost more than what it waits for.
        time.sleep(min(FIRST_LOOKS + waited / 10, LATER_LOOKS))
