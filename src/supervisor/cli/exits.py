"""How a command ends: its exit code, and the one sentence that explains it. Never a traceback."""

import enum
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # of a disk, a quota, a file


class ExitCode(enum.IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_BROKER = 3
    JOBS_FAILED = 4  # work: all is done, but some of it went to the dead letters
    DAMAGED = 65  # EX_DATAERR: the ledger's file; systemd does not restart on it
    CONFIG = 78  # EX_CONFIG in sysexits.h; systemd does not restart on it


class Complaint(click.ClickException):
    """Something the user can put right; the message says how."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click reads it from the instance


def finish(code: ExitCode) -> NoReturn:
    """End the command with an exit code."""
    raise click.exceptions.Exit(int(code))


@contextmanager
def quiet_when_nobody_reads() -> Iterator[None]:
    """End without a word when the reader of our output has gone, as with ``| head``."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        finish(ExitCode.DONE)


@contextmanager
def plainly_said() -> Iterator[None]:
    """Turn what the terminal, or the file our output goes to, cannot carry into one sentence."""
    try:
        yield
    except UnicodeEncodeError as error:  # of a surrogate: our own output is written whatever it is
        given = ascii(error.object[:40])
        message = f"an argument is not UTF-8: {given}; write it in UTF-8, as the terminal should be"
        raise Complaint(message, ExitCode.USAGE) from error
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        # What is left in the buffer would be tried, and complained of, once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        message = f"the output cannot be written: {error.strerror}; make room where it goes"
        raise Complaint(message) from error
