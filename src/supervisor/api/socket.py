"""Where the API listens: the control socket's file, ours alone (0600), and an address.

The file is never stolen from a supervisor that lives.
"""

import os
import socket
import stat
from pathlib import Path

_UNANSWERED = 60_000  # milliseconds that what we sent may stay unacknowledged
_LONGEST = 107  # bytes; the kernel's limit for the path of a Unix socket


class SocketError(Exception):
    """Where we should listen we cannot; the message says why and what to do."""


def bind(path: Path) -> socket.socket:
    """Return a socket bound to ``path``; what a dead supervisor left there is removed.

    Raises:
        SocketError: somebody answers there, something else is in the way, or it cannot be made.
    """
    if len(os.fsencode(path)) > _LONGEST:
        message = (
            f"{path}: is too long for a socket ({_LONGEST} bytes at most); choose a shorter state:"
        )
        raise SocketError(message)
    _make_folder(path.parent)
    _make_way(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # uvicorn's own socket would be open to everybody
    try:
        bound.bind(str(path))
    except OSError as error:
        bound.close()
        message = f"{path}: cannot be made: {error.strerror}; is the state folder writable?"
        raise SocketError(message) from error
    finally:
        os.umask(before)
    bound.settimeout(0)
    return bound


def refuse_second(path: Path) -> None:
    """Raise SocketError if a supervisor answers at this path: its folder is not ours to touch."""
    if path.is_socket() and _is_answered(path):
        message = (
            f"{path}: another supervisor answers here; stop it, or give this one its own state:"
        )
        raise SocketError(message)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; port 0 is any that is free.

    Raises:
        SocketError: the address is taken, not ours, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Those who went away without a word, and readers that take nothing, are given up.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        message = f"http.listen: {where}: {error.strerror}; choose another address or port"
        raise SocketError(message) from error
    bound.settimeout(0)
    return bound


def release(path: Path, inode: int) -> None:
    """Remove the socket's file if it is still the one we made."""
    try:
        if path.stat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        pass


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder}: cannot be made: {error.strerror}; choose another state:"
        raise SocketError(message) from error


def _make_way(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        message = f"{path}: cannot be looked at: {error.strerror}"
        raise SocketError(message) from error
    if not stat.S_ISSOCK(mode):
        message = f"{path}: is in the way and no socket; move it, or choose another state:"
        raise SocketError(message)
    refuse_second(path)
    path.unlink(missing_ok=True)


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(1.0)
        try:
            caller.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # a full backlog or no permission: somebody is there
            return True
    return True
