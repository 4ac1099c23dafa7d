"""Landlock: the kernel's way for a thread to give up what it and its children may touch.

No privileges are needed and nothing can be taken back; of this file system and these sockets a
restricted thread keeps what it was told, whatever the program that it starts is talked into.
The system calls have no functions in the C library, so they are called by number.
"""

import ctypes
import errno
import functools
import os
import stat
import struct
import sys
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _OPENAT2 = 444, 445, 446, 437
_VERSION = 1  # flag: asks for the version instead of making a ruleset
_PATH_BENEATH = 1  # kind of rule
_NO_NEW_PRIVILEGES = 38
_NO_LINKS = 0x02 | 0x04  # of openat2: neither symbolic links nor those of /proc
_TCP = 0b11  # bind and connect
_OUTSIDE = 0b11  # abstract sockets of others, and signals to them


class Right(IntFlag):
    """What may be done to a file, or below a folder; in the kernel's order."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13  # from version 2 on: move between folders
    TRUNCATE = 1 << 14  # from version 3 on
    IOCTL_DEV = 1 << 15  # from version 5 on


OF_FILES = Right.EXECUTE | Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE | Right.IOCTL_DEV
RUN = Right.EXECUTE | Right.READ_FILE | Right.READ_DIR
CHANGE = (
    Right.READ_FILE
    | Right.READ_DIR
    | Right.WRITE_FILE
    | Right.TRUNCATE
    | Right.REMOVE_FILE
    | Right.REMOVE_DIR
    | Right.MAKE_REG
    | Right.MAKE_DIR
    | Right.REFER
)
_NEWER = ((2, Right.REFER), (3, Right.TRUNCATE), (5, Right.IOCTL_DEV))  # by version


class ReplacedError(OSError):
    """A source was no link when it was found, and is one now."""


@dataclass(frozen=True, slots=True)
class Reach:
    """All that is left to a restricted thread; what is named and not there is passed over."""

    programs: tuple[Path, ...] = ()  # files and folders that may be read and run
    sources: tuple[Path, ...] = ()  # single files that may be read; real paths, without links
    folders: tuple[Path, ...] = ()  # may be read and written
    network: bool = False


@functools.cache
def version() -> int:
    """Return the version of Landlock that this kernel offers; 0: none, or switched off."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return _call(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(reach: Reach) -> None:
    """Leave the calling thread, for good, no more than ``reach``. Does nothing without Landlock.

    Call it in a thread that ends soon.

    Raises:
        ReplacedError: there is a link where a source was.
        OSError: the kernel refused.
    """
    if not version():
        return
    every = _known(Right(2**16 - 1))
    network = 0 if reach.network or version() < 4 else _TCP
    outside = _OUTSIDE if version() >= 6 else 0
    asked = struct.pack("=QQQ", every, network, outside)
    rules = _call(_CREATE_RULESET, asked, len(asked), 0)
    try:
        for path in reach.programs:
            _allow(rules, path, RUN)
        for path in reach.folders:
            _allow(rules, path, CHANGE)
        for path in (Path("/dev/null"), Path("/dev/zero")):
            _allow(rules, path, Right.READ_FILE | Right.WRITE_FILE)
        for path in reach.sources:
            _allow_source(rules, path)
        _check(ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _known(rights: Right) -> Right:
    """Return those rights that this kernel knows: it refuses to hear of others."""
    for since, right in _NEWER:
        if version() < since:
            rights &= ~right
    return rights


def _allow(rules: int, path: Path, rights: Right) -> None:
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    _add(rules, file, rights)


def _allow_source(rules: int, path: Path) -> None:
    """Allow the file itself, not its name: what takes its place afterwards is not allowed."""
    how = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW, 0, _NO_LINKS)
    try:
        file = _call(_OPENAT2, -100, os.fsencode(path), how, len(how))
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ReplacedError(error.errno, "was replaced by a link", str(path)) from error
        raise
    _add(rules, file, Right.READ_FILE)


def _add(rules: int, file: int, rights: Right) -> None:
    try:
        if not stat.S_ISDIR(os.fstat(file).st_mode):
            rights &= OF_FILES
        _call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", _known(rights), file), 0)
    finally:
        os.close(file)


def _call(number: int, *arguments: int | bytes | None) -> int:
    return _check(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))


def _check(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
