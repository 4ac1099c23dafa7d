"""Who descends from a process, and the end of all of them: for workers, coordinator and guard.

Standard library only, because the guard lives on it. A process that called ``adopt_orphans``
inherits whatever its descendants leave behind, so walking down from it finds everything, also
what fled into a session of its own. Linux has all of this; elsewhere (macOS) orphans go to
process 1 and only the living family is found.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PF_EXITING = 0x4
IS_LINUX = sys.platform == "linux"
BETWEEN_ROUNDS = 0.002  # seconds for the killed to disappear
PATIENCE = 5.0  # seconds; only a process stuck in the kernel outlives it


def adopt_orphans(*, wanted: bool = True) -> None:
    """Become the parent of every descendant whose own parent dies, or no longer."""
    _prctl(PR_SET_CHILD_SUBREAPER, int(wanted))


def die_with_parent(number: int) -> None:
    """Ask for a signal when the *thread* that forked this process ends."""
    _prctl(PR_SET_PDEATHSIG, number)


def _prctl(option: int, value: int) -> None:
    if IS_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def children(pid: int) -> list[int]:
    """Return the direct children of a process, the dead but not yet reaped ones among them."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        if not IS_LINUX:
            return _children_by_ps(pid)
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - kept free of pathlib's cost
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:  # noqa: PTH123
                found += map(int, file.read().split())
    return found


def _children_by_ps(pid: int) -> list[int]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False
    )
    pairs = [line.split() for line in listing.stdout.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]


def descendants(pid: int) -> list[int]:
    """Return everything below a process, parents before their children."""
    found = children(pid)
    for child in found:  # grows while it is walked
        found += [each for each in children(child) if each not in found]
    return found


def is_running(pid: int) -> bool:
    """Answer whether a process is there and not merely waiting to be reaped."""
    if not IS_LINUX:
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            return True
        return False
    stat = _stat(pid)
    return bool(stat) and stat[0] not in "ZX"


def is_ending(pid: int) -> bool:
    """Answer whether a process is dead or past the point where its files are closed (Linux)."""
    stat = _stat(pid)
    return not stat or stat[0] in "ZX" or bool(int(stat[6]) & PF_EXITING)


def _stat(pid: int) -> list[str]:
    """Return the kernel's fields from the state on (proc(5), number 3); empty: no process."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def signal_all(pids: Collection[int], number: int) -> None:
    """Send a signal to each; those that are gone are passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def kill_all(find: Callable[[], Collection[int]], *, patience: float = PATIENCE) -> bool:
    """Kill what ``find`` returns until nothing it returns is running; blocks.

    Asked again and again because a process may fork between the look and the blow.
    """
    until = time.monotonic() + patience
    while victims := [pid for pid in find() if is_running(pid)]:
        signal_all(victims, signal.SIGKILL)
        if time.monotonic() > until:
            return False
        time.sleep(BETWEEN_ROUNDS)
    return True


def bury_all(find: Callable[[], Collection[int]]) -> None:
    """Kill what ``find`` returns, as above, and bury those of it that are our children."""
    kill_all(find)
    for pid in find():
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def kill_group(leader: int) -> None:
    """Kill and bury what a dead process left in the group that it led; blocks.

    It must not be buried itself yet: until then the number means this group and no other.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    bury_all(lambda: _adopted(leader))


def _adopted(leader: int) -> list[int]:
    """Return those members of a group that became our children."""
    return [pid for pid in children(os.getpid()) if pid != leader and _group(pid) == leader]


def _group(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return 0


def kill_family(pid: int) -> None:
    """Kill everything below a process and then the process itself; blocks.

    It is stopped first: it cannot fork any more, and while it exists its orphans stay below it.
    """
    signal_all([pid], signal.SIGSTOP)
    kill_all(lambda: descendants(pid))
    signal_all([pid], signal.SIGKILL)
