"""The processor port: what a function must look like to be run as a job, ours and yours alike.

A processor is a module with a ``handle`` function, or the function itself, named in YAML as
``package.module`` or ``package.module:function``. ``async def`` runs on the worker's loop and
must not block it; a plain ``def`` runs in a thread::

    from workers.processor import Job, JobContext, Reject, Result, Retry

    async def handle(job: Job, context: JobContext) -> Result:
        context.progress(50, "half way")
        return Result(data={"answer": 42})

A module may also define ``Request``, a ``msgspec.Struct``: bodies that do not fit it go to the
dead letters with the field named, before any work begins, and a field that looks like one of its
own spelled wrong becomes a warning of the result. And it may define ``check_host(host)``,
which raises ``HostError`` while the machine lacks what its jobs need: no job is tried meanwhile.
"""

import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from consumers.errors import HostError, RefusedError, TransientError
from consumers.jobs import Job

__all__ = [
    "CheckHost",
    "Handle",
    "Host",
    "HostError",
    "Job",
    "JobContext",
    "Progress",
    "Reject",
    "Result",
    "Retry",
]


class Reject(RefusedError):  # noqa: N818 - reads `raise Reject`
    """Never try this job again: it goes to the dead letters with this reason.

    The reason is for the user who sent the job as well.
    """

    def __init__(self, message: str, *, code: str = "rejected", hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)


class Retry(TransientError):  # noqa: N818 - reads `raise Retry`
    """Try this job again later; ``after`` (seconds) overrides the pool's backoff.

    With ``counts=False`` this run is no attempt: the job was not to be tried now. Give such a
    thing an end of your own, or the job never has one.
    """


class ResultFile(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One file a job produced. ``path`` is absolute, ``size`` in bytes, ``duration`` in seconds."""

    path: str
    size: int
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    start: float | None = None  # seconds into the source, for pieces of it
    end: float | None = None
    kind: str = "video"


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a successful job produced: files, and anything else as JSON-able ``data``."""

    files: tuple[ResultFile, ...] = ()
    data: Mapping[str, object] = {}
    warnings: tuple[str, ...] = ()


class Progress(msgspec.Struct, frozen=True):
    """How far a job is: 0 to 100 per cent, and what it is doing in a few words."""

    percent: float
    note: str = ""


class JobContext(Protocol):
    """What the worker gives a processor for one run of one job."""

    @property
    def folder(self) -> Path:
        """A private folder for scratch files, created on first use, removed after the run."""

    @property
    def media(self) -> Path:
        """The media root: results are published below it."""

    @property
    def options(self) -> Mapping[str, object]:
        """The pool's ``options`` from supervisor.yaml."""

    @property
    def cpu(self) -> float:
        """The pool's ``cpu``: how many processors its work may use; 0: all there are."""

    @property
    def deadline(self) -> float:
        """The ``time.monotonic()`` second at which this run is over its timeout."""

    @property
    def cancelled(self) -> threading.Event:
        """Set when the job was cancelled; long work looks at it and stops early."""

    def progress(self, percent: float, note: str = "") -> None:
        """Say how far the job is; cheap, callable from any thread, thinned to twice a second."""

    def log(self, message: str) -> None:
        """Keep one line with the job, for whoever asks what happened; a thousand a run at most."""


class Host(Protocol):
    """What a ``check_host`` is given: where this worker works, and how it is configured."""

    @property
    def media(self) -> Path:
        """The media root."""

    @property
    def options(self) -> Mapping[str, object]:
        """The pool's ``options`` from supervisor.yaml."""


Returned = Result | Mapping[str, object] | None
Handle = Callable[[Job, JobContext], Awaitable[Returned] | Returned]
CheckHost = Callable[[Host], Awaitable[None] | None]
