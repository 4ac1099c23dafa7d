"""Files that jobs may name: those in the media folder, after all links are followed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.processor import JobContext, Reject


def existing(context: JobContext, name: str) -> Path:
    """Return the regular file of that name in the media folder. Raises Reject otherwise."""
    path = _inside(context, name)
    if not path.is_file():
        says = f"{name!r:.200} is no file in the media folder"
        raise Reject(says, code="no_such_file", hint="put it there first")
    return path


@contextmanager
def whole(context: JobContext, name: str) -> Iterator[Path]:
    """Yield a path to write to; the file gets its name only once it is whole and on the disk."""
    target = _inside(context, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        yield Path(made)
        os.fsync(descriptor)
        Path(made).replace(target)
    finally:
        os.close(descriptor)
        Path(made).unlink(missing_ok=True)


def _inside(context: JobContext, name: str) -> Path:
    root = context.media.resolve()
    path = (root / name).resolve()
    if path == root or not path.is_relative_to(root) or "\0" in name:
        says = f"{name!r:.200} lies outside the media folder"
        raise Reject(says, code="outside", hint="name a file in the media folder")
    return path
