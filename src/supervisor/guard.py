"""The coordinator's parent: when the coordinator ends, however it ends, nothing it started stays.

It does so little that nothing can go wrong in it: it passes signals on, waits, and cleans up.
To systemd it is the main process, the only one that is listened to: what the coordinator has to
say to systemd it says to its guard, who passes it on as it is.
The coordinator for its part ends when its guard is gone. Linux only; no import here is dearer
than the standard library's smallest. The coordinator has a process group of its own, so that a
Ctrl-C reaches the guard alone and is passed on once.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, MutableMapping, Sequence
from typing import NoReturn

from supervisor import systemd
from workers.descendants import (
    IS_LINUX,
    adopt_orphans,
    descendants,
    die_with_parent,
    kill_all,
    signal_all,
)

VARIABLE = "RABBIT_SUPERVISOR_GUARD"  # "FD:PID", the line that ends with the guard, and the guard
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
        signal.SIGABRT,  # from a watchdog: the coordinator writes its stacks down, and dies
    }
)
EXIT_ABANDONED = 70  # the coordinator's own code when it is ended for having no guard any more
LAST_PATIENCE = 60.0  # seconds a coordinator without a guard has to end by itself
LAST_WORDS = 1.0  # seconds to pass on what a coordinator had still said, and for ours


def is_wanted() -> bool:
    """Answer whether this process should run its work under a guard: not if it has one.

    Ends the process if its guard died while it was starting: it would only get itself another,
    and whoever started the first one, and killed it, would know of none.
    """
    if not IS_LINUX:
        return False
    if _line() is None and VARIABLE in os.environ:
        os.write(2, f"{VARIABLE} names a guard that is gone: nothing is started\n".encode())
        os._exit(EXIT_ABANDONED)
    return _line() is None


def take_over(command: Sequence[str]) -> NoReturn:
    """Become a guard, with none of what this process has imported, that runs the command."""
    os.execv(sys.executable, [sys.executable, "-m", "supervisor.guard", *command])  # noqa: S606 - a program and its arguments


def main(command: Sequence[str]) -> int:
    """Run a command as the guarded coordinator; return its exit code, 128 + n for a signal."""
    adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD})
    # Ours is held until we die; words on it keep their boundaries.
    ours, line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    guard = os.getpid()
    coordinator = os.fork()
    if coordinator == 0:
        _become(command, f"{line.fileno()}:{guard}")
    line.close()
    address = os.environ.get(systemd.SOCKET, "")
    # A thread: the one that waits for signals cannot listen besides, and must not be held up.
    relay = threading.Thread(target=_relay, args=(ours, address), name="relay", daemon=True)
    relay.start()
    passed_on = set[int]()
    status = _wait_and_forward(coordinator, passed_on)
    kill_all(lambda: _reaped(descendants(os.getpid())))
    relay.join(LAST_WORDS)
    code = os.waitstatus_to_exitcode(status)
    if code < 0 and -code not in passed_on:
        _report(-code)
    return code if code >= 0 else 128 - code


def _report(number: int) -> None:
    """Say what the coordinator died of, for it could not; unless nobody takes it."""
    name = {int(known): known.name for known in signal.Signals}.get(number, f"signal {number}")
    line = (
        f"rabbit-supervisor: the coordinator was killed by {name}; "
        "everything it had started has been ended\n"
    )
    with contextlib.suppress(OSError):
        if select.select([], [2], [], LAST_WORDS)[1]:
            os.write(2, line.encode())


def _become(command: Sequence[str], tie: str) -> None:
    """Turn the forked child into the coordinator; never returns."""
    # A guard that died a moment ago sends no signal: then the tie is what gives it away.
    die_with_parent(signal.SIGTERM)
    os.setpgid(0, 0)
    os.set_inheritable(int(tie.partition(":")[0]), True)  # noqa: FBT003 - its only parameter
    os.environ[VARIABLE] = tie
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED | {signal.SIGCHLD})
    try:
        os.execv(command[0], list(command))  # noqa: S606 - a program and its arguments
    except OSError as error:
        os.write(2, f"{command[0]}: cannot be started: {error.strerror}\n".encode())
        os._exit(127)


def _wait_and_forward(coordinator: int, passed_on: set[int]) -> int:
    """Return the coordinator's wait status once it has ended; reap all others meanwhile.

    The signals it was sent on the way are added to ``passed_on``.
    """
    while True:
        number = signal.sigwait(FORWARDED | {signal.SIGCHLD})
        if number in FORWARDED:
            passed_on.add(number)
            signal_all([coordinator], number)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == coordinator:
                    return ended[1]


def _relay(ours: socket.socket, address: str) -> None:
    """Pass on to the service manager what the coordinator says, until it has ended."""
    is_told = systemd.is_address(address)
    tell = systemd.directly(address, patiently=True) if is_told else None
    with contextlib.suppress(OSError):
        while words := ours.recv(systemd.LONGEST):
            if tell is not None:
                tell(words)


def _reaped(pids: Sequence[int]) -> Sequence[int]:
    """Return the pids after taking leave of those that are dead."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return pids


# --- the coordinator's side --------------------------------------------------------------------


def service_manager(environ: MutableMapping[str, str]) -> systemd.Notifier:
    """Return the way to whoever runs us as a service, through our guard if there is one.

    What it was known by is no longer in the environment then.
    """
    line = _line()
    if line is None:
        return systemd.take(environ, ours={os.getpid()})
    ours = {os.getpid(), os.getppid()}
    return systemd.take(environ, ours=ours, line=socket.socket(fileno=os.dup(line)))


def watch(gone: Callable[[], object], *, patience: float = LAST_PATIENCE) -> bool:
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
    """Return the line to our guard, if the one in the environment is indeed ours."""
    line, _, guard = os.environ.get(VARIABLE, "").partition(":")
    if not line.isdigit() or guard != str(os.getppid()):
        return None
    return int(line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
