"""One holder per job at a time: an ``flock`` beside the job's stage folder.

The kernel frees it when its holder dies, however it dies.
"""

import asyncio
import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from workers.media.faults import fault, from_os_error

SUFFIX = ".lock"
PATIENCE = 10.0  # seconds; the previous holder may be on its way out
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is held."""

    path: Path
    descriptor: int


async def acquire(path: Path, *, patience: float = PATIENCE) -> Lock:
    """Return the lock, after waiting for its holder to go if there is one.

    Raises:
        TransientError: ``busy`` when the holder stays.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while True:
                lock = attempt(path)
                if lock is not None:
                    return lock
                await asyncio.sleep(PAUSE)
    raise fault("busy", f"another run of this job still holds {path.name}")


def attempt(path: Path) -> Lock | None:
    """Return the lock if nobody holds it.

    Raises:
        HostError: when the folder cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise from_os_error(error, "locking the job") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    lock = Lock(path, descriptor)
    if not _is_there(lock):
        os.close(descriptor)  # the holder removed the file between our open and our lock
        return None
    return lock


def release(lock: Lock) -> None:
    """Give the lock back and remove its file, which is still ours at that moment."""
    with contextlib.suppress(OSError):
        lock.path.unlink()
    os.close(lock.descriptor)


def _is_there(lock: Lock) -> bool:
    try:
        return os.stat(lock.path).st_ino == os.fstat(lock.descriptor).st_ino  # noqa: PTH116
    except FileNotFoundError:
        return False
