"""How one run of a job ended, as values that travel: completed, failed, cancelled, interrupted."""

from collections.abc import Mapping

import msgspec


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a job did not succeed.

    ``code`` is a short word for machines, ``message`` a sentence for the operator, ``hint`` what
    to do about it. ``permanent`` failures are never tried again; ``after`` (seconds) asks for a
    delay of its own; what does not ``count`` costs no attempt, however often it happens.
    """

    message: str
    # From factories: what is said of every failure is never left out.
    code: str = msgspec.field(default_factory=lambda: "failed")
    hint: str = msgspec.field(default_factory=str)
    permanent: bool = msgspec.field(default_factory=bool)
    after: float | None = None
    counts: bool = True
    traceback: str = ""


class Completed(msgspec.Struct, frozen=True, tag=True):
    """The processor returned; ``result`` is JSON-able, its ``files`` a list of result files."""

    result: Mapping[str, object]
    duration: float  # seconds


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The processor raised, returned ``success: false``, or was stopped at its deadline."""

    failure: Failure
    duration: float  # seconds


class Cancelled(msgspec.Struct, frozen=True, tag=True):
    """Somebody asked for the job to be stopped, and it was."""

    duration: float  # seconds


class Interrupted(msgspec.Struct, frozen=True, tag=True):
    """The machine was at fault: the job is blamed for nothing, and waits again."""

    failure: Failure
    duration: float  # seconds


Outcome = Completed | Failed | Cancelled | Interrupted

# A run that never began: it says nothing about the machine, and has no words.
NOT_BEGUN = Interrupted(Failure("", code="not_begun"), 0.0)
