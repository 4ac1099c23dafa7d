"""What lies in the media folder: results, and what running jobs read of them; and its tidying.

For the workers, which fill it, and the supervisor, which keeps it in bounds; standard library only.
``results/<key>/`` holds a job's files with their manifest, ``work/<key>/`` what a run is making.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RESULTS, WORK = "results", "work"
MANIFEST = "manifest.json"  # written last: its date is the result's
SOURCE = "source"  # in a job's work folder: the path of the file it reads
STAMP = ".now"  # in the work folder: tells its clock, and is locked while results leave
GONE = ".gone-"  # how the names begin of results on their way out
_KEY = re.compile(r"[0-9a-f]{64}")  # how the folders of jobs are called; others are not ours


@dataclass(frozen=True, slots=True)
class Removed:
    """What a tidying took away."""

    results: int = 0
    size: int = 0  # bytes


def key(queue: str, job_id: str) -> str:
    """Return the name of a job's folders, the same for every delivery of the job."""
    return hashlib.sha256(f"{queue}/{job_id}".encode()).hexdigest()


def note_source(media: Path, stage: Path, source: Path) -> bool:
    """Say, while a job's work folder lives, that it reads a file; return whether it is there.

    From here on ``tidy`` leaves it alone.
    """
    with _locked(media / WORK, fcntl.LOCK_SH):
        (stage / SOURCE).write_bytes(os.fsencode(source))
        return source.exists()


def tidy(media: Path, *, keep: float) -> Removed:
    """Remove results older than ``keep`` seconds that no job reads. Raises OSError.

    They leave by one rename, so that each is there whole or not at all. What is not a result of
    ours stays: a link, another name, a folder without a manifest.
    """
    work, results = media / WORK, (media / RESULTS).resolve()
    if not results.is_dir():
        return Removed()
    work.mkdir(exist_ok=True)
    today = now(work)
    old = [folder for folder in of_jobs(results) if today - _date(folder, today) > keep]
    if old:
        with _locked(work, fcntl.LOCK_EX):
            read = _sources(work)
            for folder in old:
                if not any(path.is_relative_to(folder) for path in read):
                    with contextlib.suppress(FileNotFoundError):  # another supervisor was faster
                        folder.rename(work / f"{GONE}{folder.name}")
    return _swept(work)


def used(media: Path) -> int:
    """Return the bytes of all results; what several of them share counts once. Raises OSError."""
    seen: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(media / RESULTS):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found = (Path(folder) / name).lstat()
                seen[found.st_dev, found.st_ino] = found.st_size
    return sum(seen.values())


def _swept(work: Path) -> Removed:
    """Remove what left, at this tidying or at one that was interrupted."""
    count, size = 0, 0
    for folder in work.glob(f"{GONE}*"):
        if folder.is_symlink():
            folder.unlink(missing_ok=True)
            continue
        with contextlib.suppress(FileNotFoundError):  # another supervisor removes it as well
            size += sum(path.lstat().st_size for path in folder.iterdir())
            count += 1
        shutil.rmtree(folder, ignore_errors=True)
    return Removed(count, size)


def _sources(work: Path) -> list[Path]:
    found = []
    for note in work.glob(f"*/{SOURCE}"):
        with contextlib.suppress(OSError):
            found.append(Path(os.fsdecode(note.read_bytes())))
    return found


def of_jobs(parent: Path) -> list[Path]:
    """Return the folders that jobs made there."""
    named = (path for path in parent.iterdir() if _KEY.fullmatch(path.name))
    return [path for path in named if path.is_dir() and not path.is_symlink()]


def _date(folder: Path, now: float) -> float:
    """Return when a result was published; one without a manifest counts as new."""
    with contextlib.suppress(FileNotFoundError):
        return (folder / MANIFEST).lstat().st_mtime
    return now


def now(work: Path) -> float:
    """Return the time of the file system's clock, which may not be this machine's."""
    stamp = work / STAMP
    stamp.touch()
    return stamp.stat().st_mtime


def sync(path: Path) -> None:
    """Return when what a file or folder holds is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(work: Path, how: int) -> Iterator[None]:
    file = os.open(work / STAMP, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, how)
        yield
    finally:
        os.close(file)
