"""How jobs look on a small terminal, and one job with all that happened to it."""

import io
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from rich.console import Console, RenderableType

from consumers.jobs import Priority
from consumers.outcome import Failure
from supervisor.cli.checks import Level, about_broker, about_folders, about_supervisor, room
from supervisor.cli.jobs_table import job_card, jobs_table
from supervisor.cli.status_table import status_table
from supervisor.cli.worker_card import worker_card
from supervisor.config.settings import Role, Settings
from supervisor.core.readiness import CRASHING, OF_WHAT, Condition
from supervisor.core.records import Attempt, JobRecord, JobState
from supervisor.ports import SiteView
from tests.support.control import NOW, FakeControl, example_status
from tests.support.house import running
from tests.support.ports import free_port

UUID = "4a7326ac4824474cb96264cf5a9166c9"
LATER = NOW + timedelta(seconds=3)
DEATH = "worker download-1 died: killed by SIGKILL (9)"


def a_job(job_id: str = UUID, **changes: object) -> JobRecord:
    job = JobRecord(
        id=job_id,
        pool="download",
        queue="download_queue",
        state=JobState.FAILED,
        priority=Priority.NORMAL,
        data={"link": "https://h/v"},
        sender="user123",
        created_at=NOW,
        error=Failure("gone"),
    )
    return msgspec.structs.replace(job, **changes)


def drawn(picture: RenderableType, *, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(picture)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_on_a_small_terminal_an_id_is_shortened_to_what_show_accepts() -> None:
    _, _, line = drawn(jobs_table([a_job()], narrow=True))

    assert line.split() == ["4a7326ac4824", "download", "failed", "user123", *line.split()[4:]]
    assert line.endswith("gone")


def test_ids_that_begin_alike_are_told_apart() -> None:
    names = ["order-2026-11-22-17", "order-2026-11-22-18", "order-2026-11-22-180"]

    lines = drawn(jobs_table([a_job(name) for name in names], narrow=True))

    assert [line.split()[0] for line in lines[2:]] == names


def test_on_a_small_terminal_the_result_is_named_without_its_folders() -> None:
    files = {"files": [{"path": "/srv/media/results/1/v.mp4", "size": 12_000}]}
    job = a_job(state=JobState.COMPLETED, error=None, result=files)

    assert drawn(jobs_table([job], narrow=True))[2].endswith("v.mp4  (12 kB)")
    assert drawn(jobs_table([job]), width=160)[2].endswith("/srv/media/results/1/v.mp4  (12 kB)")


def test_a_card_counts_apart_the_workers_that_needed_too_much_memory() -> None:
    words = "workers that crashed: 2"

    assert words in "\n".join(drawn(job_card(a_job(crashes=2)), width=160))
    both = drawn(job_card(a_job(crashes=2, memory_crashes=1)), width=160)
    assert f"{words}, that needed too much memory: 1" in "\n".join(both)


def test_in_a_pipe_ids_are_whole() -> None:
    assert drawn(jobs_table([a_job()]), width=160)[2].startswith(UUID)


def test_runs_are_numbered_in_order_and_a_death_is_said_once() -> None:
    died = Attempt(1, "download-1", NOW, LATER, error=DEATH, exit="killed by SIGKILL (9)")
    moved = Attempt(1, "download-2", NOW, LATER, code="interrupted")
    done = Attempt(1, "download-1", NOW, LATER)
    stopped = Attempt(1, "download-1", NOW, LATER, code="cancelled")

    lines = drawn(job_card(a_job(history=(died, moved, done, stopped))), width=120)

    runs = [line for line in lines if line[:1].isdigit() and "download-" in line]
    assert [line[0] for line in runs] == ["1", "2", "3", "4"]
    assert runs[0].endswith(DEATH)
    assert runs[1].endswith("broken off, not its fault")
    assert runs[2].endswith("went well")
    assert runs[3].endswith("cancelled")


def test_a_failed_run_shows_its_traceback_indented() -> None:
    trace = (
        'Traceback (most recent call last):\n  File "greet.py", line 3, in handle\nKeyError: 1\n'
    )
    failed = Attempt(1, "greet-1", NOW, LATER, error="KeyError: 1", traceback=trace)

    lines = drawn(job_card(a_job(history=(failed,))))

    start = lines.index("run 1 failed at")
    assert lines[start + 1 :] == [
        "  Traceback (most recent call last):",
        '    File "greet.py", line 3, in handle',
        "  KeyError: 1",
    ]


def test_long_data_is_cut_and_says_how_long_it_is() -> None:
    card = "".join(line[10:] for line in drawn(job_card(a_job(data="x" * 9_998)), width=160))

    assert "(the first 2,000 of 10,000 characters)" in card
    assert "x" * 1_999 in card
    assert "x" * 2_000 not in card


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "since start: 0 runs"),
        (1, "since start: 1 run, 99.8% went well"),
        (1997, "since start: 1,997 runs, 99.8% went well"),
    ],
)
def test_the_figures_of_the_house_say_since_when(count: int, said: str) -> None:
    status = example_status()
    health = msgspec.structs.replace(status.health, total_jobs=count)

    lines = drawn(status_table(msgspec.structs.replace(status, health=health), {}))

    assert lines[1].endswith(said)


@pytest.mark.parametrize(
    ("broker", "remedy"),
    [
        ("amqp://guest:guest@no-such-host.invalid/", "check the host name in broker:"),
        (f"amqp://guest:guest@127.0.0.1:{free_port()}/", "start one: docker compose"),
    ],
    ids=["no such host", "nobody listens"],
)
def test_the_doctors_remedy_fits_what_is_wrong_with_the_broker(broker: str, remedy: str) -> None:
    here = Path()
    (answer,) = about_broker(Settings(broker, state=here, ledger="", media=here, workers={}))

    assert answer.level is Level.FAIL
    assert answer.remedy.startswith(remedy)


def test_why_nothing_moves_is_at_the_top_of_the_status() -> None:
    status = example_status()
    found = (
        Condition("ledger", "ledger.db: database or disk is full; free some space", seconds=12.0),
        Condition("operator", "maintenance", "cutter", is_wanted=True),
    )
    held = msgspec.structs.replace(status.workers[2], holds={"ledger": "full"})
    workers = (*status.workers[:2], held, *status.workers[3:])
    shown = msgspec.structs.replace(status, conditions=found, workers=workers)

    lines = drawn(status_table(shown, {}))

    assert lines[3] == "! ledger: ledger.db: database or disk is full; free some space (for 12s)"
    assert lines[4] == "! pool cutter: operator: maintenance"
    assert any(line.split()[:3] == ["cutter-1", "idle,", "held"] for line in lines)


def test_the_status_names_the_sites_that_are_left_alone() -> None:
    cooling = SiteView("example.com", "HTTP Error 429: Too Many Requests", 252.0)

    shown = drawn(status_table(msgspec.structs.replace(example_status(), sites=(cooling,)), {}))

    assert shown[3].startswith("! example.com is left alone for 4m 12s: HTTP Error 429")


def test_the_status_warns_of_a_queue_with_its_pool() -> None:
    status = example_status()
    first, *others = status.queues
    warned = msgspec.structs.replace(first, warnings=("3 dead letters over 16 MB",))

    shown = drawn(status_table(msgspec.structs.replace(status, queues=(warned, *others)), {}))

    assert shown[3] == "! pool download: 3 dead letters over 16 MB"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "up   since"),
        ({"holds": {"host": "no ffmpeg"}}, "up, 0 take jobs   since"),
        ({"broker": "refused", "consuming": False}, "up, 0 take jobs   since"),
        ({"broker": "low on memory", "consuming": True}, "up   since"),
    ],
    ids=["all is well", "held", "no broker", "broker alarm"],
)
def test_workers_that_are_up_and_take_nothing_are_told_apart(
    changes: Mapping[str, object], said: str
) -> None:
    status = example_status()
    workers = tuple(msgspec.structs.replace(each, **changes) for each in status.workers)

    lines = drawn(status_table(msgspec.structs.replace(status, workers=workers), {}))

    assert f" workers {said}" in lines[1]


def test_a_crashed_worker_says_what_it_waits_for_within_80_columns() -> None:
    status = example_status()
    up, *others = status.workers
    down = msgspec.structs.replace(up, id="download-2", state="crashed", pid=None, restart_in=298)

    lines = drawn(status_table(msgspec.structs.replace(status, workers=(up, down, *others)), {}))

    assert any(line.startswith("download-2  crashed, next in 4m 58s  ") for line in lines)
    assert not any("…" in line for line in lines)
    assert drawn(worker_card(down.id, down, []))[0] == "download-2  crashed, next in 4m 58s"


def test_the_status_does_not_send_its_reader_to_the_status() -> None:
    looping = Condition(CRASHING, f"each worker has crashed{OF_WHAT}", "toy")
    shown = msgspec.structs.replace(example_status(), conditions=(looping,))

    assert "! pool toy: crash loop: each worker has crashed" in drawn(status_table(shown, {}))


def test_one_worker_says_why_it_is_held_and_how_often_it_crashed() -> None:
    worker = msgspec.structs.replace(
        example_status().workers[0], holds={"host": "no ffmpeg"}, restarts=2, crash_count=3
    )

    said = [" ".join(line.split()) for line in drawn(worker_card(worker.id, worker, []))]

    assert {"held host: no ffmpeg", "restarts 2, crashes 3"} <= set(said)


def test_who_only_takes_jobs_needs_no_media_folder(tmp_path: Path) -> None:
    all_in_one = Settings("embedded", tmp_path, "", media=Path("/proc/none"), workers={})
    taking = msgspec.structs.replace(all_in_one, role=Role.API)

    asked = [{answer.what for answer in about_folders(each)} for each in (all_in_one, taking)]

    assert ["media folder" in whats for whats in asked] == [True, False]


def test_the_doctor_compares_the_free_disk_with_what_a_job_needs(tmp_path: Path) -> None:
    settings = Settings("embedded", tmp_path, ledger="", media=tmp_path, workers={})
    short, careless = (
        list(about_folders(msgspec.structs.replace(settings, min_free_disk=needed)))[-1]
        for needed in (10**15, 0)
    )

    assert short.level is Level.FAIL
    assert short.found.endswith(" free, no job begins below 1,000,000.0 GB (min_free_disk)")
    assert careless.level is not Level.FAIL


def test_little_room_is_said_in_megabytes() -> None:
    assert [room(20_000_000), room(9_990_000_000)] == ["20 MB", "9,990 MB"]
    assert room(10_000_000_000) == "10.0 GB"


def test_the_doctor_warns_of_what_keeps_the_supervisor_from_its_work(tmp_path: Path) -> None:
    control = FakeControl()
    full = Condition("media disk", "20 MB free")
    control.view = msgspec.structs.replace(control.view, conditions=(full,))
    settings = Settings("embedded", tmp_path, ledger="", media=tmp_path, workers={})

    with running(control, settings.socket):
        _, warning = about_supervisor(settings)

    assert (warning.level, warning.found) == (Level.WARN, full.sentence)


@pytest.mark.parametrize(
    ("broker", "staying", "warned"),
    [("embedded", 0, True), ("amqp://h/", 0, False), ("amqp://h/", 1, True)],
)
def test_the_doctor_warns_of_letters_that_the_broker_does_not_tell_it_of(
    tmp_path: Path, broker: str, staying: int, *, warned: bool
) -> None:
    control = FakeControl()
    first, *others = control.view.queues
    warning = msgspec.structs.replace(first, staying=staying, warnings=("3 are too large",))
    control.view = msgspec.structs.replace(control.view, queues=(warning, *others))
    settings = Settings(broker, tmp_path, ledger="", media=tmp_path, workers={})

    with running(control, settings.socket):
        _, *said = about_supervisor(settings)

    assert [answer.found for answer in said] == ["pool download: 3 are too large"] * warned


def test_types_are_shown_where_jobs_have_any() -> None:
    typed = a_job(name="email:send")

    assert drawn(jobs_table([typed], narrow=True))[2].split()[2] == "email:send"
    assert "Type" not in drawn(jobs_table([a_job()], narrow=True))[0]
    assert any(line.split() == ["type", "email:send"] for line in drawn(job_card(typed)))
