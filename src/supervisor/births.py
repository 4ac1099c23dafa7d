"""How a worker process is made: by the fork server where there is one, else by spawn.

The one file that knows multiprocessing. The fork server loads the worker's runtime once and
forks it in milliseconds; it never runs a job. Everything here blocks and is called from one
thread, one call after the other: multiprocessing's own books are not thread-safe.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.process import BaseProcess

from supervisor import orphans
from workers import lifeline
from workers.descendants import (
    adopt_orphans,
    bury_all,
    children,
    is_ending,
    is_running,
    kill_all,
    kill_family,
    signal_all,
)

STATUS_PATIENCE = 1.0  # seconds for the fork server to pass an exit status on
BETWEEN_LOOKS = 0.002  # seconds
ATTEMPTS = 3  # the fork server may die while it is asked
LOST = 255  # what multiprocessing says when the fork server died and took the status with it

Status = tuple[int | None, int | None]  # exit code, signal; one of them or none
UNKNOWN: Status = (None, None)


@dataclass(frozen=True, slots=True)
class Newborn:
    """A process just started, and our end of its pipe."""

    process: BaseProcess
    pid: int
    channel: socket.socket
    server: int | None  # pid of the fork server that is its parent
    pidfd: int | None  # None where there is no such thing, or when it is dead already

    @property
    def death(self) -> int:
        """The file descriptor that becomes readable when the process is dead.

        Only where there is no better: multiprocessing's sentinel also fires when the fork
        server dies and the worker lives on.
        """
        return self.process.sentinel if self.pidfd is None else self.pidfd


class Births:
    """Starts processes that call ``entry`` (``module:function``) after loading ``preload``."""

    def __init__(self, entry: str, preload: Sequence[str]) -> None:
        self._entry = entry
        self._has_server = "forkserver" in multiprocessing.get_all_start_methods()
        self._context: multiprocessing.context.BaseContext = multiprocessing.get_context(
            "forkserver" if self._has_server else "spawn"
        )
        self._context.set_forkserver_preload(list(preload))
        self._known: set[int] = set()
        self._strangers: frozenset[int] = frozenset()

    @property
    def server(self) -> int | None:
        """The fork server's pid, if one was started; it may have died since."""
        # multiprocessing has no public name for it, nor for stopping it.
        pid: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # noqa: SLF001
        return pid

    def settle_in(self) -> None:
        """Become the heir of all descendants; children there are already are none of ours."""
        self._strangers = frozenset(children(os.getpid()))
        adopt_orphans()
        self.prepare()

    def prepare(self) -> None:
        """Start the fork server, so that the first worker finds it loaded."""
        if self._has_server:
            # The tracker unblocks signals when it starts, so it comes before we block them.
            resource_tracker.ensure_running()
            with _signals_held_back():
                forkserver.ensure_running()

    def start(self, name: str, spec: bytes) -> Newborn:
        """Start one process. Raises OSError or EOFError when the system refuses."""
        for _ in range(ATTEMPTS - 1):
            family = frozenset(children(os.getpid()))
            with contextlib.suppress(ConnectionError, EOFError):
                return self._start(name, spec)
            self._end_server()  # it is dying; only when it is dead a new one is made
            self._bury_stillborn(family)
        return self._start(name, spec)

    def _bury_stillborn(self, family: Collection[int]) -> None:
        """Bury what a fork server had forked, and was killed before it could tell us of."""
        own = {*family, *self._known, self.server, resource_tracker._resource_tracker._pid}  # type: ignore[attr-defined]  # noqa: SLF001
        bury_all(lambda: [pid for pid in children(os.getpid()) if pid not in own])

    def _start(self, name: str, spec: bytes) -> Newborn:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.prepare()
            # Not a daemon: those may not have children of their own by multiprocessing.
            arguments = (self._entry, spec, theirs)
            process: BaseProcess = self._context.Process(  # type: ignore[attr-defined]  # the concrete contexts have it
                target=lifeline.enter, args=arguments, name=name
            )
            with _signals_held_back():
                process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        pid = process.pid or 0
        self._known.add(pid)
        return Newborn(process, pid, ours, self.server, open_pidfd(pid))

    def bury(self, born: Newborn) -> Status:
        """Return how a dead process ended, and kill what it left behind, come what may."""
        try:
            status = self._status_of(born)
        finally:
            self._known.discard(born.pid)
            orphans.sweep(self._known | self._strangers)
        with contextlib.suppress(ValueError):  # a fork server that hangs has not told of it
            born.process.close()
        return status

    def _status_of(self, born: Newborn) -> Status:
        # Spawned processes are our children from the start; multiprocessing reaps those.
        adopted = _reap(born.pidfd) if self._has_server else None
        if adopted is not None:
            return adopted
        connection.wait([born.process.sentinel], STATUS_PATIENCE)
        code = born.process.exitcode
        if code is None or (code == LOST and not self._serves(born)):
            # The fork server died before it could tell: once it is dead, we are the parent.
            _await_end(born.server)
            return _reap(born.pidfd) or UNKNOWN
        return (code, None) if code >= 0 else (None, -code)

    def _serves(self, born: Newborn) -> bool:
        if not self._has_server:
            return True
        return born.server is not None and born.server == self.server and not is_ending(born.server)

    def kill_all(self) -> None:
        """Kill every process there is, with all it started."""
        for pid in tuple(self._known):
            kill_family(pid)
        self._known.clear()
        orphans.sweep(self._known | self._strangers)

    def shake(self) -> None:
        """Kill a fork server that does not answer; the next start makes a new one."""
        if self.server is not None:
            signal_all([self.server], signal.SIGKILL)

    def take_leave(self, server: int) -> None:
        """Reap a fork server that has died; until the next start there is none."""
        if server == self.server and is_ending(server):
            forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001

    def _end_server(self) -> None:
        server = self.server
        if server is not None:
            kill_all(lambda: [server])

    def stop(self) -> None:
        """End everything this class started, the fork server and the resource tracker too."""
        self.kill_all()
        self._end_server()
        if self._has_server:
            forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001
        resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]  # noqa: SLF001
        adopt_orphans(wanted=False)


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor that is readable once the process is dead; None where there is none."""
    if not hasattr(os, "pidfd_open"):
        return None
    with contextlib.suppress(ProcessLookupError):
        return os.pidfd_open(pid)
    return None


def _await_end(server: int | None) -> None:
    until = time.monotonic() + STATUS_PATIENCE
    while server is not None and is_running(server) and time.monotonic() < until:
        time.sleep(BETWEEN_LOOKS)


def _reap(pidfd: int | None) -> Status | None:
    """Return the status of a dead child of ours; None when it is another's child."""
    if pidfd is None or not hasattr(os, "P_PIDFD"):
        return None
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if result is None:
        return None
    if result.si_code == os.CLD_EXITED:
        return (result.si_status, None)
    return (None, result.si_status)


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """Block signals in this thread: a child inherits it, and is deaf until it can answer."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, lifeline.HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
