"""What a processor is given for one run: the worker's side of ``JobContext``."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from consumers.errors import HostError
from consumers.jobs import Job

T = TypeVar("T")

THINNING = 0.5  # seconds between two progress messages of one job
MOST_LINES = 1_000  # of one run that are kept


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for every job of a worker."""

    media: Path
    options: Mapping[str, object]
    timeout: float  # seconds
    progressed: Callable[[Job, float, str], None]  # per cent and note
    said: Callable[[Job, str], None]  # a line to keep
    cpu: float = 0.0  # processors that the work may use; 0: all there are


@dataclass(slots=True)
class RunContext:
    """One run of one job, as its processor sees it. Created and closed on the worker's loop."""

    job: Job
    surroundings: Surroundings
    deadline: float  # time.monotonic() second
    loop: asyncio.AbstractEventLoop
    cancelled: threading.Event = field(default_factory=threading.Event)
    _work: "asyncio.Task[Any] | None" = None  # what is awaited for it, if something is
    _folder: Path | None = None
    _spoken: float = float("-inf")
    _lines: int = 0

    @property
    def media(self) -> Path:
        """Return the media root."""
        return self.surroundings.media

    @property
    def options(self) -> Mapping[str, object]:
        """Return the pool's options."""
        return self.surroundings.options

    @property
    def cpu(self) -> float:
        """Return how many processors the work may use."""
        return self.surroundings.cpu

    @property
    def folder(self) -> Path:
        """Return the private scratch folder of this run, made on first use."""
        if self._folder is None:
            name = "".join(char if char.isalnum() else "-" for char in self.job.id[:16])
            try:
                self._folder = Path(tempfile.mkdtemp(prefix=f"job-{name}-"))
            except OSError as error:
                why = f"no scratch folder can be made: {error}"
                hint = "make room in the folder for temporary files, or set TMPDIR"
                raise HostError(why, code="no_scratch", hint=hint) from error
        return self._folder

    def progress(self, percent: float, note: str = "") -> None:
        """Say how far the job is, from any thread."""
        self.loop.call_soon_threadsafe(self._progress, percent, note)

    def log(self, message: str) -> None:
        """Keep one line with the job, from any thread; a run's first thousand are kept."""
        self._lines += 1
        if self._lines > MOST_LINES:
            return
        if self._lines == MOST_LINES:
            message = f"{message}\n(a run may log {MOST_LINES:,} lines: the rest is not kept)"
        self.loop.call_soon_threadsafe(self.surroundings.said, self.job, message)

    async def awaited(self, work: Coroutine[Any, Any, T]) -> T:
        """Await what the job is made of, so that it can be broken off by itself."""
        task = asyncio.ensure_future(work)
        self._work = task
        return await task

    def break_off(self) -> None:
        """Cancel what is awaited: the job was cancelled, and had its time to react."""
        if self._work is not None:
            self._work.cancel()

    def close(self) -> None:
        """Remove the scratch folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _progress(self, percent: float, note: str) -> None:
        now = self.loop.time()
        if now - self._spoken < THINNING and percent < 100:
            return
        self._spoken = now
        self.surroundings.progressed(self.job, max(0.0, min(percent, 100.0)), note)
