"""The program as a service: what it tells the service manager from its start to its end."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.journeys.conftest import Configured
from tests.support import processors
from tests.support.ports import free_port
from tests.support.program import Program
from tests.support.service_manager import ServiceManager
from workers.descendants import descendants

pytestmark = [pytest.mark.journey, pytest.mark.timeout(60)]

HELD = {"do": "wait", "gate": "open", "name": "held", "from": "ana"}
WATCHDOG = 2_000_000  # microseconds
VARIABLES = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    with ServiceManager(str(tmp_path / "notify")) as listening:
        yield listening


def _start(program: Program, manager: ServiceManager, watchdog: int = WATCHDOG) -> int:
    """Start it as systemd does; return the pid that systemd knows, which is the guard's."""
    program.start(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC=str(watchdog))
    assert program.process is not None
    return program.process.pid


def test_a_service_is_heard_from_its_start_to_its_end(
    configured: Configured, manager: ServiceManager, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.yaml"
    texts.write_text("completed.toy: 'first words'\n")
    notify = {"sinks": [{"log": True}], "templates": str(texts)}
    program = configured({"toy": {"instances": 2}}, notify=notify)

    main = _start(program, manager)
    manager.wait_for("STATUS", "2 workers, 0 jobs running, broker connected")
    (job_id,) = program.submit("toy", HELD)
    manager.wait_for("STATUS", "2 workers, 1 job running, broker connected")
    _assert_that_nothing_is_inherited(program)
    _assert_that_texts_are_read_again(program, manager, texts)
    manager.wait_for("WATCHDOG", count=4)
    program.send(signal.SIGTERM)
    manager.wait_for("EXTEND_TIMEOUT_USEC")
    processors.open_gate(program.media, "open")
    assert program.wait() == 0

    assert {said.pid for said in manager.transcript} == {main}
    told = manager.order("READY", "RELOADING", "STOPPING", "EXTEND_TIMEOUT_USEC")
    assert told[:5] == ["READY", "RELOADING", "READY", "RELOADING", "READY"]
    assert told[5:7] == ["STOPPING", "EXTEND_TIMEOUT_USEC"]
    # The grace of a stop (8 s in these tests), and what comes after it.
    asked = int(manager.heard("EXTEND_TIMEOUT_USEC")[0].words["EXTEND_TIMEOUT_USEC"])
    assert 30_000_000 < asked <= 38_000_000
    assert int(manager.heard("RELOADING")[0].words["MONOTONIC_USEC"]) > 0
    assert "1 job in hand" in manager.heard("STOPPING")[0].words["STATUS"]
    assert program.ids("completed") == {job_id}
    assert "second words for ana" in program.log


def _assert_that_texts_are_read_again(
    program: Program, manager: ServiceManager, texts: Path
) -> None:
    texts.write_text("completed.toy: 'second words for {user}'\n")
    program.send(signal.SIGHUP)
    manager.wait_for("READY", count=2)
    texts.write_text("completed.toy: 'third words for {nobody}'\n")
    program.send(signal.SIGHUP)
    manager.wait_for("READY", count=3)
    assert "{nobody}" in program.wait_for_line("notice texts stay as they were")["why"]


def _assert_that_nothing_is_inherited(program: Program) -> None:
    assert program.process is not None
    coordinator = program.status().pid
    below = descendants(coordinator)
    assert len(below) >= 3  # the fork server and two workers
    for pid in below:
        assert not VARIABLES & psutil.Process(pid).environ().keys()


def test_it_is_ready_while_it_waits_for_the_broker_and_says_so(configured: Configured) -> None:
    address = f"amqp://guest:hunter2@127.0.0.1:{free_port()}/"
    program = configured({"toy": {}}, address)
    with ServiceManager(f"@supervisor-test-{os.urandom(6).hex()}") as manager:
        program.start(wait=False, NOTIFY_SOCKET=manager.address)

        manager.wait_for("READY")
        manager.wait_for("STATUS", "waiting for the broker: amqp://127.0.0.1")

        assert program.stop() == 0
        assert "hunter2" not in str(manager.transcript)
        assert manager.heard("WATCHDOG") == []  # nobody asked for it


def test_the_watchdog_hears_nothing_while_the_ledger_takes_no_write(
    configured: Configured, manager: ServiceManager
) -> None:
    program = configured({"toy": {}})
    _start(program, manager)
    manager.wait_for("WATCHDOG", count=2)

    with _locked(program.folder / "ledger.db"):
        os.kill(program.status().workers[0].pid or 0, signal.SIGKILL)  # to be written down
        manager.wait_for("STATUS", "not well: the ledger has not answered a write")
        fed = len(manager.heard("WATCHDOG"))
        manager.wait_for("STATUS", "not well", count=4)
        assert len(manager.heard("WATCHDOG")) == fed
    manager.wait_for("WATCHDOG", count=fed + 2)

    program.wait_for_line("well again")
    assert program.stop() == 0


def test_a_watchdog_that_ends_the_service_is_shown_where_it_stood(
    configured: Configured, manager: ServiceManager
) -> None:
    program = configured({"toy": {}})
    # Meant for another process, as when we were started by somebody that systemd started.
    other = str(os.getpid())
    program.start(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="100000", WATCHDOG_PID=other)
    manager.wait_for("STATUS", "broker connected")

    program.send(signal.SIGABRT)

    assert program.wait() == 128 + signal.SIGABRT
    program.wait_until_gone()
    assert "most recent call first" in program.log
    assert manager.heard("WATCHDOG") == []


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Keep every other program from writing into a SQLite file."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")
