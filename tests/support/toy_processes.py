"""Real worker processes of the toy kind, and what came of them; the tests' view of Processes."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from supervisor.processes import Death, Processes, WorkerProcess
from tests.support.toys import ENTRY, spec_for
from workers.descendants import descendants
from workers.messages import FromWorker, Ready, Stopped

WITHIN = 15.0  # seconds
Kind = TypeVar("Kind")
ROOT = Path(__file__).parents[2]


class Toys:
    """Processes with what came of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.deaths: list[Death] = []
        self.heard: dict[str, list[FromWorker]] = {}
        self.news = asyncio.Event()
        self.victim: WorkerProcess | None = None
        self.processes = Processes(self._exited, entry=ENTRY, preload=("tests.support.toys",))

    async def spawn(
        self, act: str = "beat", *, number: int = 1, **options: object
    ) -> WorkerProcess:
        spec = spec_for(self.folder, act, number=number, **options)
        heard = self.heard.setdefault(spec.worker_id, [])

        def receive(message: FromWorker) -> None:
            heard.append(message)
            self.news.set()

        return await self.processes.spawn(spec, receive=receive)

    def _exited(self, death: Death) -> None:
        self.deaths.append(death)
        self.news.set()

    async def replace(self) -> tuple[float, WorkerProcess]:
        """Kill a worker; return when that was, and what was started in its place."""
        victim = await self.spawn() if self.victim is None else self.victim
        await self.ready(victim)
        self.deaths.clear()
        began = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)
        await self.until(lambda: self.deaths)
        self.heard.clear()
        self.victim = await self.spawn()
        return began, self.victim

    @property
    def fork_server(self) -> int:
        """The pid of the process that the workers are forked from."""
        server = self.processes._births.server
        assert server is not None
        return server

    async def until(self, is_over: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN):
            while not is_over():
                self.news.clear()
                await self.news.wait()

    async def until_said(self, capsys: pytest.CaptureFixture[str], words: str) -> None:
        """Wait until the log says these words."""
        said = ""
        async with asyncio.timeout(WITHIN):
            while words not in said:
                await asyncio.sleep(0)
                captured = capsys.readouterr()
                said += captured.out + captured.err

    async def ready(self, worker: WorkerProcess) -> None:
        await self.until(lambda: self.of(worker, Ready))

    async def children_of(self, worker: WorkerProcess) -> list[int]:
        await self.until(lambda: self.of(worker, Stopped))
        return [int(pid) for pid in self.of(worker, Stopped)[0].reason.split(",")]

    def of(self, worker: WorkerProcess, kind: type[Kind]) -> list[Kind]:
        return [each for each in self.heard[worker.spec.worker_id] if isinstance(each, kind)]


@pytest.fixture(name="house")
async def toy_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Toys]:
    monkeypatch.syspath_prepend(str(ROOT))  # new processes import the toys from there
    before = descendants(os.getpid())
    house = Toys(tmp_path)
    await house.processes.start()
    yield house
    await house.processes.close()
    left = {*descendants(os.getpid())}.difference(before)
    # A broker starts programs too, at any time, and some last a moment only.
    of_servers = {pid for server in before for pid in descendants(server)}
    assert left.intersection(descendants(os.getpid())) <= of_servers


@pytest.fixture(name="stranger")
def foreign_process() -> Iterator[int]:
    """A process in a session of its own, started here before the house was."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait(WITHIN)
