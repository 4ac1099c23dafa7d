"""While the machine is not fit for work nothing new begins, nothing is lost, and it says why."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from supervisor.client import Client, NoSupervisorError
from supervisor.ports import Event, NotNowError
from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.disks import small_disk
from tests.support.program import Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

DAMAGED = 65
LOCKED_FOR = 8.0  # seconds; the ledger is patient for five

COMPLAINTS = (
    "ledger does not take it, trying again",
    "queue not read",
    "delayed messages not woken",
    "progress not kept",
    "outbox cannot be read",
)

LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_a_ledger_whose_disk_is_full_holds_every_pool_until_there_is_room(
    tmp_path: Path, configured: Configured
) -> None:
    with small_disk(tmp_path / "disk", 6) as disk:
        ledger = f"sqlite:///{disk.folder}/ledger.db"
        program = configured({"toy": {}, "other": {}}, ledger=ledger, min_free_disk=0).start()
        (running,) = program.submit("toy", {"do": "wait", "gate": "open", "name": "running"})
        program.wait_until(lambda: processors.runs(program.media), "the job to run")

        disk.fill()
        processors.open_gate(program.media, "open")
        reasons = _wait_until_unready(program, "ledger")
        with pytest.raises(NotNowError, match="not stored"):
            program.submit("toy", {"name": "refused"})
        table = " ".join(program.cli("status").stdout.split())
        alive = _get(program, "/livez").status_code
        program.wait_until(lambda: _holds(program) == [{"ledger"}] * 2, "the workers to be held")
        program.wait_until(lambda: "other-1 idle, held" in _table(program), "the table to say it")
        disk.free()
        _wait_until_ready(program)
        (later,) = program.submit("toy", {"name": "later"})
        program.wait_until(lambda: program.job(later).state.value == "completed", "the next job")

        assert alive == 200
        assert any("full; free some space on its disk" in reason for reason in reasons)
        assert "! ledger: " in table
        assert [run.name for run in processors.runs(program.media)] == ["running", "later"]
        job = program.job(running)
        assert (job.state.value, job.attempts, job.crashes) == ("completed", 0, 0)
        _assert_told_once(program, "ledger")
        assert program.stop() == 0


def test_a_stop_does_not_wait_for_a_ledger_whose_disk_is_full(
    tmp_path: Path, configured: Configured
) -> None:
    with small_disk(tmp_path / "disk", 6) as disk:
        ledger = f"sqlite:///{disk.folder}/ledger.db"
        program = configured({"toy": {}}, ledger=ledger, min_free_disk=0, stop_grace="1s").start()
        (running,) = program.submit("toy", {"do": "wait", "gate": "open"})
        program.wait_until(lambda: processors.runs(program.media), "the job to run")
        disk.fill()
        processors.open_gate(program.media, "open")
        _wait_until_unready(program, "ledger")

        assert program.stop() == 0
        disk.free()
        program.start()
        program.wait_until(lambda: program.job(running).state.value == "completed", "the job")

        # Its first outcome could not be written, and was not acked.
        assert (program.job(running).attempts, program.job(running).crashes) == (0, 0)
        assert program.stop() == 0


@pytest.mark.rabbitmq
def test_a_ledger_that_another_program_keeps_locked_is_waited_for(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, vhost_url).start()
    running = {"do": "wait", "gate": "open", "name": "running"}
    publisher.publish(vhost_url, "toy_queue", running, message_id="running")
    program.wait_until(lambda: processors.runs(program.media), "the job to run")

    with _locked(program.folder / "ledger.db"):
        processors.open_gate(program.media, "open")
        publisher.publish(vhost_url, "toy_queue", {"name": "later"}, message_id="later")
        reasons = _wait_until_unready(program, "ledger")
    _wait_until_ready(program)
    program.wait_for_count("completed", 2)

    assert any("another program wrote to it" in reason for reason in reasons)
    assert [run.name for run in processors.runs(program.media)] == ["running", "later"]
    assert program.job("running").attempts == 0
    _assert_told_once(program, "ledger")


def test_too_little_room_for_results_holds_jobs_until_there_is_more(
    tmp_path: Path, configured: Configured
) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        media = {"media": {"root": str(disk.folder)}}
        program = configured({"toy": {}}, **media, min_free_disk="3MB").start()
        told = _listen(program)
        disk.fill()
        _wait_until_unready(program, "media disk")
        program.wait_until(lambda: _holds(program) == [{"media disk"}], "it to be held")
        (job_id,) = program.submit("toy", {"name": "patient"})
        waiting = program.job(job_id)
        disk.free()
        program.wait_until(lambda: program.job(job_id).state.value == "completed", "the job")
        _wait_until_ready(program)
        assert program.stop() == 0

    assert waiting.state.value == "waiting"
    held = [each for each in told if each.name.startswith("pool.")]
    assert [(e.name, e.data["pool"], e.data["hold"]) for e in held] == [
        ("pool.held", "toy", "media disk"),
        ("pool.resumed", "toy", "media disk"),
    ]
    assert "3 MB are needed (min_free_disk)" in str(held[0].data["why"])
    _assert_told_once(program, "media disk")


def test_a_pool_that_nobody_serves_makes_it_unready_until_somebody_does(
    configured: Configured,
) -> None:
    program = configured({"toy": {"backoff": {"delay": "3s"}}, "other": {}}).start()
    _wait_until_ready(program)
    pid = program.worker("toy-1").pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)
    (reason,) = _wait_until_unready(program, "pool toy: no worker")
    _wait_until_ready(program)

    assert reason == "pool toy: no worker: none consumes (1 crashed)"


def test_a_damaged_ledger_is_not_started_with_and_left_as_it_is(configured: Configured) -> None:
    program = configured({"toy": {}}).start()
    program.submit("toy", *({"name": "x" * 500} for _ in range(50)))
    assert program.stop() == 0
    ledger = program.folder / "ledger.db"
    content = ledger.read_bytes()
    damaged = content[:8192] + os.urandom(len(content) - 8192)
    ledger.write_bytes(damaged)

    program.start(wait=False)
    code = program.wait(within=20)

    (line,) = program.lines("supervisor cannot start")
    assert code == DAMAGED
    assert "ledger.db" in line["why"]
    assert "put a backup in its place" in line["why"]
    assert ledger.read_bytes() == damaged


# --- helpers --------------------------------------------------------------------------------


def _get(program: Program, path: str) -> httpx.Response:
    transport = httpx.HTTPTransport(uds=str(program.socket))
    with httpx.Client(transport=transport, base_url="http://supervisor", timeout=10) as http:
        return http.get(path)


def _wait_until_unready(program: Program, start: str) -> Sequence[str]:
    """Wait until a reason that begins so makes it unready; return all there are."""
    found: list[str] = []

    def is_unready() -> bool:
        answer = _get(program, "/readyz")
        found[:] = answer.json().get("reasons", ())
        return answer.status_code == 503 and any(each.startswith(start) for each in found)

    program.wait_until(is_unready, f"{start!r} to make it unready")
    return found


def _wait_until_ready(program: Program) -> None:
    program.wait_until(lambda: _get(program, "/readyz").status_code == 200, "it to be ready")


def _holds(program: Program) -> list[set[str]]:
    return [set(worker.holds) for worker in program.status().workers]


def _table(program: Program) -> str:
    return " ".join(program.cli("status").stdout.split())


def _assert_told_once(program: Program, hold: str) -> None:
    """Check that the log has one line for the beginning and one for the end, and no more."""
    assert len(program.lines("workers held, they take nothing new", hold=hold)) == 1, program.log
    assert len(program.lines("hold lifted", hold=hold)) == 1
    for complaint in COMPLAINTS:
        assert program.lines(complaint) == []


def _listen(program: Program) -> list[Event]:
    """Keep every event that is told from now on, until the program stops."""
    heard: list[Event] = []
    connected = threading.Event()

    def listen() -> None:
        with contextlib.suppress(NoSupervisorError), Client(program.socket) as client:
            for event in client.events(connected=connected.set):
                heard.append(event)  # noqa: PERF402 - it is read while it grows

    threading.Thread(target=listen, daemon=True).start()
    assert connected.wait(10)
    return heard


@contextmanager
def _locked(ledger: Path) -> Iterator[None]:
    """Have another program keep the ledger locked for a while; returns when it has let go."""
    command = [sys.executable, "-c", LOCKER, str(ledger), str(LOCKED_FOR)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == b"locked\n"
        yield
        locker.wait(LOCKED_FOR + 10)
