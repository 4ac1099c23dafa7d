"""What is wrong around the program is said in a line that tells what to do; nothing is lost."""

import fcntl
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from supervisor.core.records import JobState
from tests.journeys.conftest import Configured
from tests.support.program import Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

CONFIG = 78
TOY: Mapping[str, Mapping[str, object]] = {"toy": {}}
SMALL = 4096  # bytes, the least that a pipe can be
LONGEST = 2000  # bytes of a line at the start
MISTAKES = """\
brokr: embedded
state: var
workers:
  download: {queue: jobs, processor: workers.download, instances: many}
  cutter: {queue: jobs, processor: workers.cuter}
  hooks: {queue: hooks, processor: tests.support.broken_processor}
"""


def test_every_mistake_of_a_configuration_is_named_at_once(
    configured: Configured, tmp_path: Path
) -> None:
    program = configured(TOY)
    (tmp_path / "wrong.yaml").write_text(MISTAKES)
    (tmp_path / "unreadable.yaml").write_text("workers: [\n")

    missing = program.cli("-c", str(tmp_path / "none.yaml"), "run")
    unreadable = program.cli("-c", str(tmp_path / "unreadable.yaml"))
    wrong = program.cli("-c", str(tmp_path / "wrong.yaml"))

    assert [said.returncode for said in (missing, unreadable, wrong)] == [CONFIG] * 3
    assert "none.yaml" in missing.stderr
    assert "unreadable.yaml:2" in unreadable.stderr
    for line, words in {1: "brokr", 4: "many", 5: "jobs"}.items():
        assert any(f":{line}" in one and words in one for one in wrong.stderr.splitlines()), line
    assert "Traceback" not in missing.stderr + unreadable.stderr + wrong.stderr


def test_a_processor_that_is_not_there_or_does_not_import_stops_the_start(
    configured: Configured,
) -> None:
    program = configured(
        {
            "unknown": {"processor": "workers.cuter"},
            "nameless": {"processor": "tests.support.processors:nobody"},
            "broken": {"processor": "tests.support.broken_processor"},
        }
    )

    said = program.cli("run")

    assert said.returncode == CONFIG
    for pool, words in {
        "unknown": "workers.cuter",
        "nameless": "nobody",
        "broken": "no_such_library",
    }.items():
        lines = [line for line in said.stderr.splitlines() if f"workers.{pool}." in line]
        assert lines, said.stderr
        assert words in lines[0]


def test_a_second_supervisor_is_refused_and_told_who_the_first_is(configured: Configured) -> None:
    first = configured(TOY).start()
    pid = first.status().pid
    same_ledger = configured(TOY, ledger=f"sqlite:///{first.folder}/ledger.db")
    same_state = configured(TOY, state=str(first.folder / "state"))

    refusals = [_refused(program) for program in (first, same_ledger, same_state)]

    for code, log in refusals:
        assert code == 1
        assert "Traceback" not in log
    for _, log in refusals[:2]:
        assert f"pid {pid}" in log
    assert first.is_running
    assert first.worker("toy-1").consuming


def test_a_socket_that_somebody_else_listens_on_is_not_taken_over(configured: Configured) -> None:
    program = configured(TOY)
    program.socket.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(program.socket))
        other.listen()
        code, log = _refused(program)

    assert code == 1
    assert "supervisor.sock" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("key", ["state", "media.root"])
def test_a_folder_that_cannot_be_written_is_named_before_any_job_is_taken(
    key: str, configured: Configured
) -> None:
    wrong = {"state": "/proc/none"} if key == "state" else {"media": {"root": "/proc/none"}}
    code, log = _refused(configured(TOY, **wrong))

    assert code == 1
    assert f"{key}: /proc/none cannot be written" in log
    assert "choose another" in log
    assert "Traceback" not in log


def test_without_ffmpeg_a_job_waits_and_the_operator_is_told_what_to_install(
    configured: Configured, clip: bytes
) -> None:
    program = configured({"cutter": {"processor": "workers.cutter", "retry": {"attempts": 1}}})
    program.media.mkdir(parents=True)
    (program.media / "clip.mp4").write_bytes(clip)
    program.start(PATH=str(program.folder))

    (job_id,) = program.submit("cutter", {"filePath": str(program.media / "clip.mp4")})
    program.wait_until(lambda: program.worker("cutter-1").holds, "a hold")

    (why,) = program.worker("cutter-1").holds.values()
    assert "ffmpeg" in why
    assert "install" in why
    assert program.job(job_id).state is JobState.WAITING
    assert program.job(job_id).attempts == 0


def test_with_its_standard_streams_closed_nothing_else_takes_their_numbers(
    configured: Configured,
) -> None:
    program = configured(TOY)
    program.behind = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    program.start()
    program.wait_for_state("completed", *program.submit("toy", {"sleep": 0}))

    streams = [
        Path(f"/proc/{process.pid}/fd/{number}").readlink()
        for process in program.survivors()
        for number in range(3)
    ]

    assert set(streams) == {Path(os.devnull)}
    assert program.stop() == 0


def test_a_log_that_nobody_reads_stops_nothing(configured: Configured) -> None:
    program = configured({"toy": {"instances": 2}}, logs={"level": "debug"})
    os.mkfifo(program.log_file)
    reader = os.open(program.log_file, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, SMALL)
    try:
        program.start()
        program.log_file = program.folder / "not read"
        jobs = program.submit("toy", *[{"sleep": 0}] * 20)
        program.wait_for_state("completed", *jobs)

        assert len(os.read(reader, 2 * SMALL)) > SMALL - LONGEST  # it is full
        assert all(worker.restarts == 0 for worker in program.status().workers)
        assert program.stop() == 0
    finally:
        os.close(reader)


def _refused(program: Program) -> tuple[int, str]:
    """Start a second process of a program whose first may run; return its exit code and log."""
    second = Program(program.folder / f"second-{os.urandom(2).hex()}", {})
    second.config.write_bytes(program.config.read_bytes())
    second.start(wait=False)
    try:
        return second.wait(within=20), second.log
    finally:
        second.end()
