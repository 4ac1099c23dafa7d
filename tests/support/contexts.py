"""A job context for tests: it remembers what the processor said."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workers.processor import Progress


@dataclass
class FakeContext:
    """Implements the processor's side of a run, without a worker around it."""

    media: Path
    folder: Path = Path("unused")
    options: Mapping[str, object] = field(default_factory=dict)
    cpu: float = 0.0
    deadline: float = field(default_factory=lambda: time.monotonic() + 60.0)
    cancelled: threading.Event = field(default_factory=threading.Event)
    progressed: list[Progress] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    on_progress: Callable[[float], None] | None = None  # called on every word of progress

    def progress(self, percent: float, note: str = "") -> None:
        self.progressed.append(Progress(percent, note))
        if self.on_progress is not None:
            self.on_progress(percent)

    def log(self, message: str) -> None:
        self.logged.append(message)
