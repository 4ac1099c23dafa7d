"""The coordinator's parent: when the coordinator ends, however it ends, nothing it started stays.

It does so little that nothing can go wrong in it: it passes signals on, waits, and cleans up.
The coordinator for its part ends when its guard is gone. Linux only; no import here is dearer
than the standard library's smallest. The coordinator has a process group of its own, so that a
Ctrl-C reaches the guard alone and is passed on once.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from workers.descendants import (
    IS_LINUX,
    adopt_orphans,
    descendants,
    die_with_parent,
    kill_all,
    signal_all,
)

VARIABLE = "RABBIT_SUPERVISOR_GUARD"  # "FD:PID", the pipe that ends with the guard, and the guard
FORWARDED = frozenset(
    {
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGTTIN,
        signal.SIGTTOU,
    }
)
EXIT_ABANDONED = 70  # the coordinator's own code when it did not end in time without its guard
LAST_PATIENCE = 60.0  # seconds a coordinator without a guard has to end by itself


def is_wanted() -> bool:
    """Answer whether this process should run its work under a guard: not if it has one."""
    return IS_LINUX and _line() is None


def take_over(command: Sequence[str]) -> NoReturn:
    """Become a guard, with none of what this process has imported, that runs the command."""
    os.execv(sys.executable, [sys.executable, "-m", "supervisor.guard", *command])  # noqa: S606 - a program and its arguments


def main(command: Sequence[str]) -> int:
    """Run a command as the guarded coordinator; return its exit code, 128 + n for a signal."""
    adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD})
    line, _held_until_we_die = os.pipe()
    coordinator = os.fork()
    if coordinator == 0:
        _become(command, line)
    os.close(line)
    status = _wait_and_forward(coordinator)
    kill_all(lambda: _reaped(descendants(os.getpid())))
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become(command: Sequence[str], line: int) -> None:
    """Turn the forked child into the coordinator; never returns."""
    guard = os.getppid()
    die_with_parent(signal.SIGTERM)
    os.setpgid(0, 0)
    os.set_inheritable(line, True)  # noqa: FBT003 - its only parameter
    os.environ[VARIABLE] = f"{line}:{guard}"
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED | {signal.SIGCHLD})
    try:
        os.execv(command[0], list(command))  # noqa: S606 - a program and its arguments
    except OSError as error:
        os.write(2, f"{command[0]}: cannot be started: {error.strerror}\n".encode())
        os._exit(127)


def _wait_and_forward(coordinator: int) -> int:
    """Return the coordinator's wait status once it has ended; reap all others meanwhile."""
    while True:
        number = signal.sigwait(FORWARDED | {signal.SIGCHLD})
        if number in FORWARDED:
            signal_all([coordinator], number)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == coordinator:
                    return ended[1]


def _reaped(pids: Sequence[int]) -> Sequence[int]:
    """Return the pids after taking leave of those that are dead."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return pids


# --- the coordinator's side --------------------------------------------------------------------


def watch(gone: Callable[[], None], *, patience: float = LAST_PATIENCE) -> bool:
    """Call ``gone`` from a thread when the guard has died; return whether there is a guard.

    The coordinator should then stop. If it has not after ``patience`` seconds it is ended here,
    with everything below it.
    """
    line = _line()
    if line is None:
        return False
    os.environ.pop(VARIABLE)
    os.set_inheritable(line, False)  # noqa: FBT003 - its only parameter

    def wait_for_the_end() -> None:
        os.read(line, 1)  # nothing is ever written: it returns at the end
        gone()
        time.sleep(patience)
        kill_all(lambda: descendants(os.getpid()))
        os._exit(EXIT_ABANDONED)

    threading.Thread(target=wait_for_the_end, name="guard", daemon=True).start()
    return True


def _line() -> int | None:
    """Return the pipe to our guard, if the one in the environment is indeed ours."""
    line, _, guard = os.environ.get(VARIABLE, "").partition(":")
    if not line.isdigit() or guard != str(os.getppid()):
        return None
    return int(line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
