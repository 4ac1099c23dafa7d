"""The worker processes: the one place that starts them, ends them and sees them die.

A death is announced once, after everything the worker said has been received and everything it
left behind is gone. Nothing here decides; it only does.
"""

import asyncio
import atexit
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from consumers import logs
from consumers.errands import Errands
from supervisor import stacks
from supervisor.births import UNKNOWN, Births, Newborn, Status, open_pidfd
from supervisor.cgroup import KernelKills
from supervisor.core.exits import FAULTS, describe_exit
from supervisor.core.vitals import PipeReading
from workers import spool, usage
from workers.descendants import kill_family
from workers.lifeline import DUMP
from workers.messages import FromWorker
from workers.pipe import Complaint, Pipe
from workers.spec import WorkerSpec
from workers.usage import Meter, Usage

START_PATIENCE = 20.0  # seconds; the first start waits for the fork server's imports
DRAIN_PATIENCE = 5.0  # seconds to read what a dead worker had said
KILL_PATIENCE = 10.0  # seconds; only a process stuck in the kernel takes longer

Answer = TypeVar("Answer")

log = logs.get(__name__)


class ProcessError(Exception):
    """A process could not be started."""


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker's process ended; ``code`` and ``signal`` both None: nobody knows.

    ``stack`` is what a crash in C code left; ``words`` say the exit for people.
    ``is_out_of_memory``: the kernel killed it for want of memory.
    """

    worker_id: str
    incarnation: int
    pid: int
    code: int | None
    signal: int | None
    words: str
    stack: str = ""
    is_out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A worker's process and our end of its pipe."""

    spec: WorkerSpec
    born: Newborn
    pipe: Pipe[FromWorker]
    silent: asyncio.Event = field(default_factory=asyncio.Event)  # the pipe is read to its end
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # its death is announced
    slain: asyncio.Event = field(default_factory=asyncio.Event)  # we killed it

    @property
    def pid(self) -> int:
        """The process id."""
        return self.born.pid

    def signal(self, number: int) -> None:
        """Send a signal to the process itself, from the loop; a dead one is passed over."""
        if self.gone.is_set():
            return
        with contextlib.suppress(ProcessLookupError):
            if self.born.pidfd is None:
                os.kill(self.pid, number)
            else:
                # Unlike a pid it can never mean another process.
                signal.pidfd_send_signal(self.born.pidfd, number)


def _ignore(_holder: tuple[str, int], _complaint: Complaint) -> None:
    """Take no notice of unreadable frames."""


class Processes:
    """All worker processes of this coordinator.

    ``exited`` is called on the loop, once a process; ``unreadable`` with a worker's id and
    incarnation when a frame of it made no sense; ``entry`` is called in the new process with the
    spec as JSON and the pipe's socket, after the fork server has imported ``preload``.
    """

    def __init__(
        self,
        exited: Callable[[Death], None],
        *,
        unreadable: Callable[[tuple[str, int], Complaint], None] = _ignore,
        entry: str = "workers.nursery:main",
        preload: Sequence[str] = ("workers.nursery",),
        kernel: KernelKills | None = None,
    ) -> None:
        self._exited = exited
        self._unreadable = unreadable
        self._births = Births(entry, preload)
        self._hand = ThreadPoolExecutor(1, "births")  # one thread: see births.py
        self._workers: dict[str, WorkerProcess] = {}
        self._burials = Errands()
        self._servers: dict[int, int] = {}  # fork servers that live, with their pidfds
        self._meter = Meter()
        self._kernel = kernel or KernelKills()
        self._is_closed = False

    async def start(self) -> None:
        """Become the heir of all descendants and start the fork server; it loads meanwhile."""
        # The coordinator may end by an exception that nobody expected: then too, nothing stays.
        atexit.register(self._births.kill_all)
        await self._by_hand(self._births.settle_in)
        self._watch_server()

    async def spawn(
        self, spec: WorkerSpec, *, receive: Callable[[FromWorker], None]
    ) -> WorkerProcess:
        """Start a process; raises ProcessError. It is running when this returns, not yet ready.

        ``receive`` gets what it says, the first time in a later turn of the loop.
        """
        if self._is_closed:
            message = f"{spec.worker_id}: no process is started any more"
            raise ProcessError(message)
        if spec.worker_id in self._workers:
            message = f"{spec.worker_id} has a process already (pid {self.pid(spec.worker_id)})"
            raise ProcessError(message)
        born = await self._bear(spec)
        silent = asyncio.Event()
        holder = (spec.worker_id, spec.incarnation)
        complain = partial(self._unreadable, holder)
        pipe: Pipe[FromWorker] = Pipe(FromWorker, receive, silent.set, complain)
        worker = WorkerProcess(spec, born, pipe, silent)
        self._workers[spec.worker_id] = worker
        await pipe.connect(born.channel)
        asyncio.get_running_loop().add_reader(born.death, self._died, worker)
        return worker

    async def _bear(self, spec: WorkerSpec) -> Newborn:
        birth = asyncio.ensure_future(
            self._by_hand(self._births.start, spec.worker_id, msgspec.json.encode(spec))
        )
        try:
            done, _ = await asyncio.wait([birth], timeout=START_PATIENCE)
            if not done:
                # The fork server hangs. Without it the start fails, and is tried with a new one.
                self._births.shake()
                await asyncio.wait([birth], timeout=START_PATIENCE)
            if not birth.done():
                message = f"{spec.worker_id}: no process within {2 * START_PATIENCE:g} s"
                raise ProcessError(message)
            self._watch_server()  # it may be another one now
            return birth.result()
        except (OSError, EOFError) as error:
            message = f"{spec.worker_id}: the system did not give a process: {error!r}"
            raise ProcessError(message) from error
        finally:
            if not birth.done():
                birth.add_done_callback(_disown)

    # --- death ------------------------------------------------------------------------------

    def _died(self, worker: WorkerProcess) -> None:
        asyncio.get_running_loop().remove_reader(worker.born.death)
        self._burials.run(self._bury(worker))

    async def _bury(self, worker: WorkerProcess) -> None:
        status, stack, by_kernel = UNKNOWN, "", None
        try:
            status = await self._by_hand(self._births.bury, worker.born)
            await _hear_out(worker)
            if worker.spec.spool:
                await asyncio.to_thread(spool.discard, Path(worker.spec.spool))
            if status[1] in FAULTS:
                stack = await asyncio.to_thread(stacks.read, Path(worker.spec.stacks))
            by_kernel = await self._ask_kernel(worker, status)
        finally:
            # Whatever went wrong, which the errand says: without this news there would never be
            # another process in its place.
            self._announce(worker, status, stack, by_kernel=by_kernel)

    async def _ask_kernel(self, worker: WorkerProcess, status: Status) -> bool | None:
        """Return whether the kernel killed a worker for want of memory; None: nobody can tell."""
        if status[1] != signal.SIGKILL or worker.slain.is_set():
            return False
        return self._kernel.was_one(await asyncio.to_thread(self._kernel.read))

    def _announce(
        self, worker: WorkerProcess, status: Status, stack: str, *, by_kernel: bool | None
    ) -> None:
        spec, (code, number) = worker.spec, status
        del self._workers[spec.worker_id]
        worker.gone.set()
        worker.pipe.abort()
        if worker.born.pidfd is not None:
            os.close(worker.born.pidfd)
        words = describe_exit(code, number, out_of_memory=by_kernel)
        holder = (spec.worker_id, spec.incarnation, worker.pid)
        self._exited(Death(*holder, code, number, words, stack, is_out_of_memory=bool(by_kernel)))

    def _watch_server(self) -> None:
        """See the fork server die: it must be reaped, and people should know."""
        server = self._births.server
        if server is None or server in self._servers or self._is_closed:
            return
        pidfd = open_pidfd(server)
        if pidfd is not None:
            self._servers[server] = pidfd
            asyncio.get_running_loop().add_reader(pidfd, self._server_died, server)

    def _server_died(self, server: int) -> None:
        self._forget_server(server)
        log.warning("fork server died, workers live on, the next start makes another", pid=server)
        self._burials.run(self._by_hand(self._births.take_leave, server))

    def _forget_server(self, server: int) -> None:
        pidfd = self._servers.pop(server)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)

    # --- orders -----------------------------------------------------------------------------

    def pid(self, worker_id: str) -> int | None:
        """Return the pid of a worker that has a process."""
        worker = self._workers.get(worker_id)
        return None if worker is None else worker.pid

    async def terminate(self, worker_id: str, *, grace: float) -> None:
        """Send TERM; kill it and all it started if it is there after ``grace`` seconds.

        Returns when the death has been announced; does nothing when there is no process.
        """
        if worker := self._workers.get(worker_id):
            worker.signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(worker.gone.wait(), grace)
            except TimeoutError:
                await _kill(worker)

    async def kill(self, worker_id: str) -> None:
        """Kill a worker and all it started, stopped ones too; returns after the announcement."""
        if worker := self._workers.get(worker_id):
            await _kill(worker)

    async def dump_stack(self, worker_id: str, *, wait: float = 1.0) -> str:
        """Return the Python stacks of a worker, or a sentence that says why there are none."""
        worker = self._workers.get(worker_id)
        if worker is None:
            return f"no stack: {worker_id} has no process"
        path = Path(worker.spec.stacks)
        before = await asyncio.to_thread(stacks.measure, path)
        worker.signal(DUMP)
        stack = await asyncio.to_thread(stacks.await_growth, path, before, wait=wait)
        if stack:
            return stack
        state = await asyncio.to_thread(usage.state_of, worker.pid)
        return f"no stack within {wait:g} s: process {worker.pid} is {state}"

    def pipes(self) -> Mapping[str, PipeReading]:
        """Return for each worker how much of it was heard, and whether more waits to be heard."""
        return {
            worker_id: PipeReading(worker.pipe.frames, worker.pipe.has_waiting)
            for worker_id, worker in self._workers.items()
        }

    async def usage(self) -> Mapping[str, Usage]:
        """Return what each worker with all its children uses; cpu since the last call."""
        pids = {worker_id: worker.pid for worker_id, worker in self._workers.items()}
        now = asyncio.get_running_loop().time()
        self._kernel.look(await asyncio.to_thread(self._kernel.read))
        return await asyncio.to_thread(self._meter.measure, pids, now=now)

    async def close(self) -> None:
        """Kill all there is, the fork server too; no descendant is left. Then start no more."""
        if self._is_closed:
            return
        self._is_closed = True
        async with asyncio.TaskGroup() as tasks:
            for worker in self._workers.values():
                tasks.create_task(_kill(worker))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._burials.finish(), DRAIN_PATIENCE)
        for server in tuple(self._servers):
            self._forget_server(server)
        self._births.shake()  # or a start in progress could hold the hand
        await self._by_hand(self._births.stop)
        self._hand.shutdown()
        atexit.unregister(self._births.kill_all)

    async def _by_hand(self, act: Callable[..., Answer], *arguments: object) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._hand, act, *arguments)


def _disown(birth: asyncio.Future[Newborn]) -> None:
    """Hang up on a process that came too late: it ends itself."""
    if not birth.cancelled() and birth.exception() is None:
        birth.result().channel.close()


async def _hear_out(worker: WorkerProcess) -> None:
    """Receive what a dead worker had still said."""
    worker.pipe.resume()
    try:
        await asyncio.wait_for(worker.silent.wait(), DRAIN_PATIENCE)
    except TimeoutError:
        worker.pipe.abort()  # a process we cannot know holds its end open


async def _kill(worker: WorkerProcess) -> None:
    worker.slain.set()
    await asyncio.to_thread(kill_family, worker.pid)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(worker.gone.wait(), KILL_PATIENCE)
    if not worker.gone.is_set():
        state = await asyncio.to_thread(usage.state_of, worker.pid)
        facts = {"worker": worker.spec.worker_id, "pid": worker.pid, "state": state}
        log.error("process does not die, look what it waits for in the kernel", **facts)
