"""Whether bytes still come: a request that is waited for must bring a least number of them.

A socket's timeout begins anew with every byte, so a server that sends one a second is never late.
Time counts only while a request or a read waits; what we do with the bytes is not its fault.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SLOWEST_LOOK = 1.0  # seconds between two looks


@dataclass(slots=True)
class Flow:
    """One request: how long it was waited for, and what it brought."""

    waited: float = 0.0
    arrived: int = 0
    since: float = 0.0  # when the present wait began
    marks: deque[tuple[float, int]] = field(default_factory=lambda: deque([(0.0, 0)]))

    def is_too_slow(self, now: float, rate: float, patience: float) -> bool:
        """Answer whether the last ``patience`` seconds of waiting brought less than the rate."""
        waited = self.waited + now - self.since
        while len(self.marks) > 1 and waited - self.marks[1][0] >= patience:
            self.marks.popleft()
        begun, had = self.marks[0]
        self.marks.append((waited, self.arrived))
        return waited - begun >= patience and self.arrived - had < rate * patience


class Throughput:
    """All requests that are being waited for, from whichever thread."""

    def __init__(self, rate: float, patience: float) -> None:
        self._rate = rate  # bytes a second
        self._patience = patience  # seconds
        self._waiting: dict[int, Flow] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def waiting(self, flow: Flow) -> Iterator[None]:
        """Count the time of the block as spent waiting."""
        with self._lock:
            flow.since = time.monotonic()
            self._waiting[id(flow)] = flow
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[id(flow)]
                flow.waited += time.monotonic() - flow.since

    def is_too_slow(self, now: float) -> bool:
        """Answer whether one of them brings too little."""
        with self._lock:
            flows = tuple(self._waiting.values())
            return any(flow.is_too_slow(now, self._rate, self._patience) for flow in flows)

    def watch(self, give_up: Callable[[str], None]) -> None:
        """Call once, from a thread of its own, when a request brings too little."""
        if self._rate > 0:
            threading.Thread(target=self._watch, args=(give_up,), daemon=True).start()

    def _watch(self, give_up: Callable[[str], None]) -> None:
        while not self.is_too_slow(time.monotonic()):
            time.sleep(min(SLOWEST_LOOK, self._patience / 8))
        kilobytes = self._rate / 1000
        give_up(f"less than {kilobytes:g} kB a second arrived for {self._patience:g} s")
