"""The worker processes, with real ones: how they start, speak, are measured, and die."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from supervisor.processes import Death, ProcessError, Processes, WorkerProcess
from tests.support.toys import ENTRY, spec_for
from tests.support.waiting import wait_until
from workers.descendants import descendants, is_running
from workers.messages import FromWorker, Heartbeat, Progressed, Ready, Settled, Stopped

pytestmark = pytest.mark.processes

WITHIN = 15.0  # seconds
Kind = TypeVar("Kind")
ROOT = Path(__file__).parents[2]
SIGKILL = signal.SIGKILL.value


class House:
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

    async def until(self, is_over: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN):
            while not is_over():
                self.news.clear()
                await self.news.wait()

    async def ready(self, worker: WorkerProcess) -> None:
        await self.until(lambda: self.of(worker, Ready))

    async def children_of(self, worker: WorkerProcess) -> list[int]:
        await self.until(lambda: self.of(worker, Stopped))
        return [int(pid) for pid in self.of(worker, Stopped)[0].reason.split(",")]

    def of(self, worker: WorkerProcess, kind: type[Kind]) -> list[Kind]:
        return [each for each in self.heard[worker.spec.worker_id] if isinstance(each, kind)]


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.syspath_prepend(str(ROOT))  # new processes import the toys from there
    before = descendants(os.getpid())
    house = House(tmp_path)
    await house.processes.start()
    yield house
    await house.processes.close()
    assert [pid for pid in descendants(os.getpid()) if pid not in before] == []


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process in a session of its own, started here before the house was."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait(WITHIN)


async def gone(pids: Iterable[int]) -> None:
    await asyncio.to_thread(
        wait_until,
        lambda: not any(is_running(pid) for pid in pids),
        within=WITHIN,
        what=f"the end of {pids}",
    )


def fork_server(house: House) -> int:
    server = house.processes._births.server
    assert server is not None
    return server


# --- life and death ----------------------------------------------------------------------------


async def test_a_worker_speaks_and_leads_its_own_session(house: House) -> None:
    worker = await house.spawn()
    await house.ready(worker)

    assert house.of(worker, Ready)[0].pid == worker.pid
    assert os.getsid(worker.pid) == os.getpgid(worker.pid) == worker.pid


async def test_a_worker_id_has_one_process(house: House) -> None:
    await house.spawn()

    with pytest.raises(ProcessError, match="toy-1 has a process already"):
        await house.spawn()


@pytest.mark.parametrize(("code", "words"), [(0, "in order"), (3, "exit code 3"), (255, "255")])
async def test_an_exit_code_is_told(house: House, code: int, words: str) -> None:
    worker = await house.spawn("leave", code=code)
    await house.until(lambda: house.deaths)

    death = house.deaths[0]
    assert (death.pid, death.code, death.signal) == (worker.pid, code, None)
    assert words in death.words


async def test_a_killed_worker_is_told_by_its_signal(house: House) -> None:
    worker = await house.spawn()
    await house.ready(worker)
    os.kill(worker.pid, signal.SIGKILL)
    await house.until(lambda: house.deaths)

    assert (house.deaths[0].code, house.deaths[0].signal) == (None, SIGKILL)


async def test_a_crash_in_c_code_leaves_its_stack(house: House) -> None:
    await house.spawn("fault")
    await house.until(lambda: house.deaths)

    assert house.deaths[0].words == "segmentation fault (SIGSEGV)"
    assert "toys.py" in house.deaths[0].stack


async def test_all_that_was_said_before_a_kill_is_heard_before_the_death(house: House) -> None:
    worker = await house.spawn("tell and die", count=20_000)
    await house.until(lambda: house.deaths)

    jobs = [message.job_id for message in house.of(worker, Settled)]
    assert jobs == [str(number) for number in range(20_000)]
    assert worker.pipe.unreadable_frames == 0


async def test_the_house_can_be_closed_twice_over_and_kills_what_lives(house: House) -> None:
    workers = [await house.spawn(number=number) for number in range(1, 4)]
    server = fork_server(house)

    await house.processes.close()

    assert len(house.deaths) == 3
    assert not any(is_running(pid) for pid in (server, *(worker.pid for worker in workers)))


# --- the fork server ---------------------------------------------------------------------------


async def test_workers_outlive_a_killed_fork_server_and_new_ones_start(house: House) -> None:
    first = await house.spawn()
    await house.ready(first)
    server = fork_server(house)
    os.kill(server, signal.SIGKILL)
    second = await house.spawn(number=2)
    await house.ready(second)
    beats = len(house.of(first, Heartbeat))
    await house.until(lambda: len(house.of(first, Heartbeat)) > beats)

    assert house.deaths == []
    assert fork_server(house) != server


async def test_an_adopted_worker_is_still_told_by_its_signal(house: House) -> None:
    first = await house.spawn()
    await house.ready(first)
    os.kill(fork_server(house), signal.SIGKILL)
    await house.spawn(number=2)
    os.kill(first.pid, signal.SIGKILL)
    await house.until(lambda: house.deaths)

    assert (house.deaths[0].worker_id, house.deaths[0].signal) == ("toy-1", SIGKILL)


async def test_a_fork_server_that_hangs_is_replaced(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.processes.START_PATIENCE", 2.0)
    server = fork_server(house)
    os.kill(server, signal.SIGSTOP)

    worker = await house.spawn()
    await house.ready(worker)

    assert fork_server(house) != server


# --- orders ------------------------------------------------------------------------------------


async def test_term_ends_a_worker_that_listens(house: House) -> None:
    worker = await house.spawn()
    await house.ready(worker)

    await house.processes.terminate("toy-1", grace=WITHIN)

    assert house.deaths[0].signal == signal.SIGTERM


async def test_a_worker_that_ignores_term_is_killed_after_its_grace(house: House) -> None:
    worker = await house.spawn("ignore term")
    await house.ready(worker)
    await house.until(lambda: house.of(worker, Heartbeat))

    await house.processes.terminate("toy-1", grace=0.2)

    assert house.deaths[0].signal == SIGKILL


async def test_a_stopped_worker_can_be_killed(house: House) -> None:
    worker = await house.spawn()
    await house.ready(worker)
    os.kill(worker.pid, signal.SIGSTOP)

    await house.processes.kill("toy-1")

    assert house.deaths[0].signal == SIGKILL


async def test_orders_to_nobody_do_nothing(house: House) -> None:
    await house.processes.kill("nobody")
    await house.processes.terminate("nobody", grace=0.0)

    assert "has no process" in await house.processes.dump_stack("nobody")


# --- families ----------------------------------------------------------------------------------


async def test_killing_a_worker_kills_all_it_started(house: House) -> None:
    worker = await house.spawn("children")
    family = await house.children_of(worker)
    assert all(is_running(pid) for pid in family)

    await house.processes.kill("toy-1")

    assert len(family) == 3
    assert not any(is_running(pid) for pid in family)


async def test_what_a_dead_worker_leaves_behind_is_gone_before_its_death_is_told(
    stranger: int, house: House
) -> None:
    worker = await house.spawn("children")
    bystander = await house.spawn("children", number=2)
    family = await house.children_of(worker)
    others = await house.children_of(bystander)

    os.kill(worker.pid, signal.SIGKILL)
    await house.until(lambda: house.deaths)

    assert not any(is_running(pid) for pid in family)
    assert all(is_running(pid) for pid in (stranger, bystander.pid, *others))


async def test_a_worker_whose_coordinator_hangs_up_ends_with_its_family(house: House) -> None:
    worker = await house.spawn("children")
    family = await house.children_of(worker)

    worker.pipe.abort()
    await house.until(lambda: house.deaths)

    await gone([worker.pid, *family])


# --- looking in --------------------------------------------------------------------------------


async def test_a_stack_is_dumped_although_c_code_holds_the_interpreter(house: House) -> None:
    worker = await house.spawn("hold")
    await house.ready(worker)

    stack = ""
    async with asyncio.timeout(WITHIN):
        while "a_function_with_a_name_to_find" not in stack:  # it says ready a little before
            stack = await house.processes.dump_stack("toy-1")

    assert "Current thread" in stack


async def test_a_stack_can_be_dumped_twice_and_the_worker_lives_on(house: House) -> None:
    worker = await house.spawn()
    await house.ready(worker)

    first = await house.processes.dump_stack("toy-1")
    second = await house.processes.dump_stack("toy-1")

    assert first.count("Current thread") == second.count("Current thread") == 1
    assert house.deaths == []


async def test_a_stopped_worker_has_no_stack_and_that_is_said(house: House) -> None:
    worker = await house.spawn()
    await house.ready(worker)
    os.kill(worker.pid, signal.SIGSTOP)

    answer = await house.processes.dump_stack("toy-1", wait=0.2)

    assert answer == f"no stack within 0.2 s: process {worker.pid} is stopped"


async def test_usage_counts_a_worker_and_its_children(house: House) -> None:
    idle, busy = await house.spawn(), await house.spawn("spin", number=2)
    await house.ready(idle)
    await house.ready(busy)
    usage = await house.processes.usage()
    async with asyncio.timeout(WITHIN):
        while usage["toy-2"].memory < 100_000_000 or usage["toy-2"].cpu < 0.1:
            await asyncio.sleep(0.1)  # a share of the processor is measured over time
            usage = await house.processes.usage()

    assert usage["toy-2"].processes == 2
    assert usage["toy-2"].memory > 100_000_000 > usage["toy-1"].memory > 1_000_000
    assert usage["toy-2"].cpu > usage["toy-1"].cpu
    assert usage["toy-2"].cpu < 1.5


async def test_a_flooding_worker_does_not_starve_another(house: House) -> None:
    flooding, quiet = await house.spawn("flood"), await house.spawn(number=2)
    await house.until(lambda: len(house.of(flooding, Progressed)) > 10_000)
    heard = len(house.of(quiet, Heartbeat))

    async with asyncio.timeout(1.0):
        await house.until(lambda: len(house.of(quiet, Heartbeat)) >= heard + 5)


async def test_a_killed_worker_is_replaced_at_once(house: House) -> None:
    started, speaking = [], []
    for _ in range(6):
        began, heir = await house.replace()
        started.append(time.monotonic() - began)
        await house.ready(heir)
        speaking.append(time.monotonic() - began)

    for name, times in (("started", started), ("speaking", speaking)):
        print(name, *(f"{each * 1000:.0f} ms" for each in times))  # noqa: T201 - shown by -s
    assert min(speaking) < 0.5


async def test_no_process_holds_a_pipe_that_is_not_its_own(house: House) -> None:
    first, second = await house.spawn(), await house.spawn(number=2)
    await house.ready(first)
    await house.ready(second)

    ours, one, other = map(sockets_of, (os.getpid(), first.pid, second.pid))

    assert one
    assert other
    assert not one & other
    assert not ours & (one | other)


def sockets_of(pid: int) -> set[str]:
    entries = list(Path(f"/proc/{pid}/fd").iterdir())
    targets = (entry.readlink().name for entry in entries if entry.is_symlink())
    return {name for name in targets if name.startswith("socket:")}


# --- other ways to run -------------------------------------------------------------------------


async def test_where_there_is_no_fork_server_processes_are_spawned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    house = House(tmp_path)
    await house.processes.start()

    await house.spawn("leave", code=3)
    await house.until(lambda: house.deaths)
    worker = await house.spawn("children", number=2)
    family = await house.children_of(worker)
    await house.processes.kill("toy-2")
    await house.processes.close()

    assert [(death.code, death.signal) for death in house.deaths] == [(3, None), (None, SIGKILL)]
    assert not any(is_running(pid) for pid in (worker.pid, *family))


def test_all_of_it_runs_on_uvloop_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))

    async def live() -> House:
        house = House(tmp_path)
        await house.processes.start()
        worker = await house.spawn()
        await house.ready(worker)
        await house.spawn("tell and die", number=2, count=20_000)
        await house.until(lambda: house.deaths)
        await house.processes.terminate("toy-1", grace=WITHIN)
        await house.processes.close()
        return house

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        house = runner.run(live())

    assert [death.signal for death in house.deaths] == [SIGKILL, signal.SIGTERM]
    assert sum(isinstance(message, Settled) for message in house.heard["toy-2"]) == 20_000
