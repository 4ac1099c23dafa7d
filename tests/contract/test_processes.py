"""The worker processes, with real ones: how they start, speak and die."""

import asyncio
import contextlib
import os
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest
import uvloop
from typing_extensions import override

from supervisor.births import Births, Newborn
from supervisor.processes import ProcessError
from tests.support.toy_processes import ROOT, WITHIN, Toys, toy_house
from tests.support.toys import ENTRY
from tests.support.waiting import wait_until
from workers.descendants import children, descendants, is_running
from workers.messages import Heartbeat, Ready, Settled

__all__ = ["toy_house"]
pytestmark = pytest.mark.processes
SIGKILL = signal.SIGKILL.value

# --- life and death ----------------------------------------------------------------------------


async def test_a_worker_speaks_and_leads_its_own_session(house: Toys) -> None:
    worker = await house.spawn()
    await house.ready(worker)

    assert house.of(worker, Ready)[0].pid == worker.pid
    assert os.getsid(worker.pid) == os.getpgid(worker.pid) == worker.pid


async def test_a_worker_id_has_one_process(house: Toys) -> None:
    await house.spawn()

    with pytest.raises(ProcessError, match="toy-1 has a process already"):
        await house.spawn()


@pytest.mark.parametrize(("code", "words"), [(0, "in order"), (3, "exit code 3"), (255, "255")])
async def test_an_exit_code_is_told(house: Toys, code: int, words: str) -> None:
    worker = await house.spawn("leave", code=code)
    await house.until(lambda: house.deaths)

    death = house.deaths[0]
    assert (death.pid, death.code, death.signal) == (worker.pid, code, None)
    assert words in death.words


async def test_a_killed_worker_is_told_by_its_signal(house: Toys) -> None:
    worker = await house.spawn()
    await house.ready(worker)
    os.kill(worker.pid, signal.SIGKILL)
    await house.until(lambda: house.deaths)

    assert (house.deaths[0].code, house.deaths[0].signal) == (None, SIGKILL)


async def test_a_crash_in_c_code_leaves_its_stack(house: Toys) -> None:
    await house.spawn("fault")
    await house.until(lambda: house.deaths)

    assert house.deaths[0].words == "segmentation fault (SIGSEGV)"
    assert "toys.py" in house.deaths[0].stack


async def test_a_burial_that_fails_is_heard_of_and_the_death_is_told_all_the_same(
    house: Toys, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = await house.spawn()
    await house.ready(worker)
    replace_by_a_folder(Path(worker.spec.stacks))

    os.kill(worker.pid, signal.SIGSEGV)
    await house.until(lambda: house.deaths)

    assert house.deaths[0].words == "segmentation fault (SIGSEGV)"
    await house.until_said(capsys, "IsADirectoryError")
    heir = await house.spawn()
    await house.ready(heir)


def replace_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


async def test_thirty_restarts_leave_no_descriptor_and_no_zombie_behind(house: Toys) -> None:
    for _ in range(2):
        await house.replace()
    before = sorted(descriptors())

    for _ in range(30):
        await house.replace()

    assert len(descriptors()) == len(before), (before, sorted(descriptors()))
    await house.until(lambda: all(map(is_running, descendants(os.getpid()))))


def descriptors() -> list[str]:
    """Return what this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            found.append(str(entry.readlink()))
    return found


async def test_all_that_was_said_before_a_kill_is_heard_before_the_death(house: Toys) -> None:
    worker = await house.spawn("tell and die", count=20_000)
    await house.until(lambda: house.deaths)

    jobs = [message.job_id for message in house.of(worker, Settled)]
    assert jobs == [str(number) for number in range(20_000)]
    assert worker.pipe.unreadable_frames == 0


async def test_the_house_can_be_closed_twice_over_and_kills_what_lives(house: Toys) -> None:
    workers = [await house.spawn(number=number) for number in range(1, 4)]
    server = house.fork_server

    await house.processes.close()

    assert len(house.deaths) == 3
    assert not any(is_running(pid) for pid in (server, *(worker.pid for worker in workers)))


# --- the fork server ---------------------------------------------------------------------------


async def test_workers_outlive_a_killed_fork_server_and_new_ones_start(house: Toys) -> None:
    first = await house.spawn()
    await house.ready(first)
    server = house.fork_server
    os.kill(server, signal.SIGKILL)
    second = await house.spawn(number=2)
    await house.ready(second)
    beats = len(house.of(first, Heartbeat))
    await house.until(lambda: len(house.of(first, Heartbeat)) > beats)

    assert house.deaths == []
    assert house.fork_server != server


async def test_a_killed_fork_server_is_told_of_and_leaves_no_zombie(
    house: Toys, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = await house.spawn()
    await house.ready(worker)
    server = house.fork_server

    os.kill(server, signal.SIGKILL)
    await house.until_said(capsys, "fork server died")
    proc = Path(f"/proc/{server}")
    reaped = partial(wait_until, lambda: not proc.exists(), within=WITHIN, what="its reaping")
    await asyncio.to_thread(reaped)

    assert house.deaths == []


async def test_an_adopted_worker_is_still_told_by_its_signal(house: Toys) -> None:
    first = await house.spawn()
    await house.ready(first)
    os.kill(house.fork_server, signal.SIGKILL)
    await house.spawn(number=2)
    os.kill(first.pid, signal.SIGKILL)
    await house.until(lambda: house.deaths)

    assert (house.deaths[0].worker_id, house.deaths[0].signal) == ("toy-1", SIGKILL)


class Unlucky(Births):
    """Has its fork server killed between a fork and the word of it; then it gives up."""

    untold: "subprocess.Popen[bytes] | None" = None

    @override
    def _start(self, name: str, spec: bytes) -> Newborn:
        if self.untold is not None:
            raise OSError("no more")
        self.untold = subprocess.Popen(["sleep", "600"])
        raise EOFError


def test_a_worker_that_its_fork_server_was_killed_before_telling_of_is_buried() -> None:
    births = Unlucky(ENTRY, ())

    with pytest.raises(OSError, match="no more"):
        births.start("toy-1", b"")

    assert births.untold is not None
    assert births.untold.pid not in children(os.getpid())
    births.untold.returncode = 0  # buried behind its back


async def test_a_fork_server_that_hangs_is_replaced(
    house: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.processes.START_PATIENCE", 2.0)
    server = house.fork_server
    os.kill(server, signal.SIGSTOP)

    worker = await house.spawn()
    await house.ready(worker)

    assert house.fork_server != server


# --- orders ------------------------------------------------------------------------------------


async def test_term_ends_a_worker_that_listens(house: Toys) -> None:
    worker = await house.spawn()
    await house.ready(worker)

    await house.processes.terminate("toy-1", grace=WITHIN)

    assert house.deaths[0].signal == signal.SIGTERM


async def test_a_worker_that_ignores_term_is_killed_after_its_grace(house: Toys) -> None:
    worker = await house.spawn("ignore term")
    await house.ready(worker)
    await house.until(lambda: house.of(worker, Heartbeat))

    await house.processes.terminate("toy-1", grace=0.2)

    assert house.deaths[0].signal == SIGKILL


@pytest.mark.invariant(9)
async def test_a_stopped_worker_can_be_killed(house: Toys) -> None:
    worker = await house.spawn()
    await house.ready(worker)
    os.kill(worker.pid, signal.SIGSTOP)

    await house.processes.kill("toy-1")

    assert house.deaths[0].signal == SIGKILL


async def test_orders_to_nobody_do_nothing(house: Toys) -> None:
    await house.processes.kill("nobody")
    await house.processes.terminate("nobody", grace=0.0)

    assert "has no process" in await house.processes.dump_stack("nobody")


# --- other ways to run -------------------------------------------------------------------------


async def test_where_there_is_no_fork_server_processes_are_spawned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    house = Toys(tmp_path)
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

    async def live() -> Toys:
        house = Toys(tmp_path)
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
