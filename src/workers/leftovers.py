"""Work folders that nobody works in: what killed workers and programs left in the media folder.

For the supervisor, which knows what became of the jobs; standard library only. Several supervisors
may share a media folder, and their workers go on meanwhile: a folder is removed under the lock
that its job's run would hold.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from workers import holdings
from workers.hours import DAY, HOUR

LOCK = ".lock"  # how the names end of the runs' locks, beside their folders
PARTS = "*.part"  # files that a download goes on with


def found(media: Path) -> frozenset[str]:
    """Return the names of all work folders, in use or not. Raises OSError."""
    work = media / holdings.WORK
    return frozenset(path.name for path in holdings.of_jobs(work)) if work.is_dir() else frozenset()


def clear(media: Path, ended: Mapping[str, bool]) -> int:
    """Remove the work folders that are left over; return how many. Raises OSError.

    ``ended`` says of the jobs that are known, by the names of their folders, whether they never
    run again.
    """
    work = media / holdings.WORK
    if not work.is_dir():
        return 0
    now = holdings.now(work)
    return sum(_cleared(folder, now, ended.get(folder.name)) for folder in holdings.of_jobs(work))


def is_left(age: float, *, has_ended: bool | None, has_parts: bool) -> bool:
    """Decide over a folder that no run holds; ``has_ended`` is None of a job that is not known.

    Such a job may be another supervisor's: what it has downloaded stays for a day.
    """
    if has_ended:
        return True
    if not has_parts:
        return age > HOUR
    return has_ended is None and age > DAY


def _cleared(folder: Path, now: float, has_ended: bool | None) -> bool:  # noqa: FBT001 - three answers
    with contextlib.suppress(FileNotFoundError), _seized(folder) as is_ours:
        age = now - folder.stat().st_mtime
        has_parts = any(folder.glob(PARTS))
        if is_ours and is_left(age, has_ended=has_ended, has_parts=has_parts):
            shutil.rmtree(folder, ignore_errors=True)
            return True
    return False


@contextlib.contextmanager
def _seized(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder's job, if nobody does; its file goes with the lock."""
    path = folder.with_suffix(LOCK)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield False
        return
    try:
        is_ours = _is_there(path, descriptor)
        try:
            yield is_ours
        finally:
            if is_ours:
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_there(path: Path, descriptor: int) -> bool:
    """Answer whether a lock's file is still the one we opened: its holder may have removed it."""
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
