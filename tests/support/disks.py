"""Small disks of a test's own: file systems in memory that fill up, or cannot be written to."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import wait_until

MEGABYTE = 2**20
FILLER = "filler"
CLOSING = 10.0  # seconds for a job that is done to close its files


class SmallDisk:
    """A file system of a few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Take all the room there is."""
        with (self.folder / FILLER).open("ab", buffering=0) as filler:
            for size in (MEGABYTE, 4096, 1):
                _write_all(filler.fileno(), b"x" * size)

    def free(self) -> None:
        """Give the room back."""
        (self.folder / FILLER).unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Make it read-only for the time being, as soon as nobody writes to it any more."""
        wait_until(
            lambda: not _mount("-o", "remount,ro", self.folder),
            within=CLOSING,
            what=f"{self.folder} to be read-only: who keeps a file in it open to write?",
        )
        try:
            yield
        finally:
            _mount("-o", "remount,rw", self.folder)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount one on a folder, and take it away at the end; skip where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() != 0:
        pytest.skip("only root may mount a file system")
    if words := _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "test", folder):
        pytest.skip(f"no file system can be mounted here: {words}")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a failed test may have left something open there.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*words: object) -> str:
    """Mount something; return what was wrong, nothing when it is done."""
    command = ["mount", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip() or "refused" if done.returncode else ""


def _write_all(file: int, block: bytes) -> None:
    while True:
        try:
            os.write(file, block)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return
