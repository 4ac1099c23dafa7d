"""Faults of the machine and of its queues: jobs wait unblamed while they last, then all is done."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.client import NoSupervisorError
from tests.journeys.conftest import Configured
from tests.support import fragile, processors, publisher
from tests.support.disks import SmallDisk, small_disk
from tests.support.program import Program
from tests.support.rabbitmq import PrivateRabbit
from tests.support.readiness import why_unready
from tests.support.receiver import Receiver

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

HOST, COPIES = "host", "copies"  # names of holds


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system with room for the clip in pieces, a few times."""
    with small_disk(tmp_path / "small", megabytes=40) as disk:
        yield disk


@pytest.fixture
def film(tmp_path: Path, clip: bytes) -> Path:
    """A film to cut, on a disk that is well."""
    path = tmp_path / "film.mp4"
    path.write_bytes(clip)
    return path


def test_a_disk_that_is_full_then_read_only_costs_no_attempt_and_no_job(
    small: SmallDisk, film: Path, configured: Configured, receiver: Receiver
) -> None:
    cutter = {"processor": "workers.cutter", "options": {"roots": [str(film.parent)]}}
    media = {"root": str(small.folder)}
    program = configured(
        {"cutter": cutter}, webhook=receiver.url, media=media, min_free_disk=0
    ).start()
    order = {"filePath": str(film), "segmentTime": 600, "from": "user123"}

    small.fill()
    full = program.submit("cutter", order, order, order)
    _wait_for_hold(program, "cutter-1", HOST, "No space left on device")
    _wait_until_unready(program, "No space left on device")
    _assert_untouched_but_one(program, full)
    small.free()
    program.wait_for_state("completed", *full)
    with small.read_only():
        (unwritable,) = program.submit("cutter", order)
        _wait_for_hold(program, "cutter-1", HOST, "Read-only file system")
    program.wait_for_state("completed", unwritable)

    assert program.count("failed") == 0
    assert [program.job(job).attempts for job in (*full, unwritable)] == [0, 0, 0, 0]
    program.wait_until(lambda: receiver.requests.qsize() == 4, "four notices")
    assert all(b"job.completed" in notice.body for notice in receiver.received())
    assert program.worker("cutter-1").holds == {}


def test_a_worker_without_ffmpeg_takes_no_job_until_there_is_one(
    film: Path, tmp_path: Path, configured: Configured
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    options = {"ffmpeg": str(programs / "ffmpeg"), "roots": [str(film.parent)]}
    pool = {"processor": "workers.cutter", "options": options}
    program = configured({"cutter": pool}).start(wait=False)

    _wait_for_hold(program, "cutter-1", HOST, "ffmpeg and ffprobe were not found")
    _wait_until_unready(program, "ffmpeg and ffprobe were not found")
    (job,) = program.submit("cutter", {"filePath": str(film), "segmentTime": 600})
    for name in ("ffmpeg", "ffprobe"):
        (programs / name).symlink_to(str(shutil.which(name)))
    program.wait_for_state("completed", job)
    program.wait_until(lambda: not why_unready(program), "it to be ready")

    assert [run.code for run in program.job(job).history] == [""]


@pytest.mark.rabbitmq
def test_a_fault_that_a_processor_of_ones_own_finds_touches_one_job_of_each_worker(
    vhost_url: str, configured: Configured
) -> None:
    pool = {"processor": "tests.support.fragile", "instances": 2}
    program = configured({"toy": pool}, vhost_url).start()
    (program.media / fragile.TREACHEROUS).touch()

    ids = program.submit("toy", *[{"name": f"job {n}"} for n in range(12)])
    for worker in ("toy-1", "toy-2"):
        _wait_for_hold(program, worker, HOST, "the machine is treacherous (mend it)")
    touched = [job for job in ids if program.job(job).history]
    (program.media / fragile.TREACHEROUS).unlink()
    program.wait_for_state("completed", *ids)

    assert 1 <= len(touched) <= 2
    assert all(program.job(job).attempts == 0 for job in ids)
    assert len(processors.runs(program.media, what="ended")) == len(ids)
    (job,) = {program.job(job).history[0].error for job in touched}
    assert job == "the machine is treacherous"


def test_a_job_that_alone_blames_the_machine_is_a_dead_letter_at_last_and_others_are_done(
    configured: Configured,
) -> None:
    program = configured({"toy": {"instances": 2}}).start()
    deed = {"do": "blame the machine", "name": "bad"}

    (bad,) = program.submit("toy", deed)
    others = 0
    while program.job(bad).state.value != "failed":
        program.wait_for_state("completed", *program.submit("toy", {"name": "good"}))
        others += 1

    job = program.job(bad)
    assert others > 0
    assert [run.code for run in job.history][-3:] == ["no_scanner"] * 3
    assert {run.code for run in job.history[:-3]} == {"interrupted"}
    assert (job.attempts, len(job.history) <= 7) == (3, True)
    assert job.error is not None
    assert job.error.message == "no scanner"
    assert "taken for a fault of the machine" in job.error.hint


@pytest.mark.rabbitmq
def test_a_full_dead_letter_queue_stops_the_pool_and_its_end_starts_it_again(
    rabbit: PrivateRabbit, vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, vhost_url).start()
    vhost = vhost_url.rpartition("/")[2]
    full = '{"max-length":0,"overflow":"reject-publish"}'
    rabbit.ctl("set_policy", "-p", vhost, "--apply-to", "queues", "full", "_dlq$", full)

    (bad,) = program.submit("toy", {"do": "reject", "name": "bad"})
    _wait_for_hold(program, "toy-1", COPIES, "toy_queue_dlq takes nothing")
    _wait_until_unready(program, "toy_queue_dlq takes nothing")
    good = program.submit("toy", {"name": "good"}, {"name": "good too"})
    rabbit.ctl("clear_policy", "-p", vhost, "full")
    program.wait_for_state("completed", *good)
    program.wait_for_state("failed", bad)

    assert len(processors.runs(program.media, name="bad")) == 1
    assert len(program.lines("copy refused, taking nothing new")) == 1
    assert len(program.lines("copies are taken again")) == 1


@pytest.mark.rabbitmq
def test_a_dead_letter_queue_deleted_and_made_again_too_small_loses_no_letter(
    vhost_url: str, configured: Configured
) -> None:
    none = {"x-max-length": 0, "x-overflow": "reject-publish"}
    publisher.declare(vhost_url, "toy_queue_dlq", none)
    program = configured({"toy": {}}, vhost_url).start()
    program.wait_for_line("queue may lose messages")
    doctor = program.cli("doctor").stdout

    ids = program.submit("toy", *[{"do": "reject"}] * 3)
    _wait_for_hold(program, "toy-1", COPIES, "toy_queue_dlq takes nothing")
    publisher.delete(vhost_url, "toy_queue_dlq")
    program.wait_for_state("failed", *ids)

    assert len(processors.runs(program.media)) == len(ids)
    assert "toy_queue_dlq takes nothing beyond 0 messages: the pool stops" in doctor


def _wait_for_hold(program: Program, worker: str, name: str, words: str) -> None:
    def holds() -> bool:
        with contextlib.suppress(NoSupervisorError):
            return words in program.worker(worker).holds.get(name, "")
        return False

    program.wait_until(holds, f"{worker} to hold: {words}")


def _wait_until_unready(program: Program, words: str) -> None:
    program.wait_until(lambda: words in " ".join(why_unready(program)), f"unready: {words}")


def _assert_untouched_but_one(program: Program, ids: list[str]) -> None:
    """Check that jobs wait, one of them after a run that was broken off."""
    jobs = [program.job(job) for job in ids]
    assert {job.state.value for job in jobs} == {"waiting"}
    assert sorted(run.code for job in jobs for run in job.history) == ["interrupted"]
