"""What follows a job: ``then`` in its body, as its publisher wrote it.

A step names a pool. Each file that the job made becomes a job of that pool, and what follows those
is in the step itself or, where it says nothing, in their pool's own configuration.
"""

from collections.abc import Mapping

import msgspec

THEN = "then"  # of a body

FILES = "files"
INTO = "filePath"  # what the built-in processors call their input


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that follows a completed job.

    ``each`` names the list in the result whose entries become jobs (``files``, or a path such as
    ``data.items``); empty: one job, whatever the result is. ``into`` is the field of the new job's
    body that has the entry; ``data`` are its other fields. ``then`` None: as its pool has it.
    """

    pool: str
    type: str = ""  # which of the pool's kinds of jobs, where it has several
    each: str = FILES
    into: str = INTO
    data: Mapping[str, object] = {}
    then: "tuple[Step, ...] | None" = None


def steps_of(body: Mapping[str, object]) -> tuple[Step, ...] | None:
    """Return what a body says is to follow; None if it says nothing.

    Raises:
        MalformedError: naming the field and what was expected of it.
    """
    raise NotImplementedError
