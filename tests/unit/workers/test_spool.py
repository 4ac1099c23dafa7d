"""What is kept of outcomes until they are known to be recorded, on a real disk."""

import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumers.desk import Claim, Run
from consumers.jobs import Properties
from workers import spool
from workers.messages import JobResult, ResultPayload
from workers.spool import HandedIn, Spool

KEY = ("toy_queue", "j1")
CLAIM = Claim("toy_queue", b'{"n": 1}', Properties(), "f1", session=3)
NAMED = Claim("toy_queue", b'{"n": 1}', Properties(message_id="j1"), "f1", job_id="j1")
RUN = Run("j1", attempts=2, seq=4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "spool" / f"toy-1{spool.ENDING}"


def result(job_id: str = "j1", *, size: int = 1) -> JobResult:
    return JobResult(
        worker_id="toy-1",
        timestamp=datetime(2026, 11, 1, tzinfo=UTC),
        queue_name="toy_queue",
        payload=ResultPayload(()),
        call=1,
        job_id=job_id,
        result={"text": "x" * size},
        duration=0.5,
    )


def taken(file: Path) -> tuple[HandedIn, ...]:
    """Return what would be taken from a file that goes on."""
    if not file.exists():
        return ()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(file, folder)
        return spool.take(Path(folder))


def held(file: Path) -> list[str]:
    return [handed_in.run.job_id for handed_in in taken(file)]


def test_an_outcome_is_kept_with_all_that_was_known_of_its_job(file: Path) -> None:
    kept = Spool(str(file))
    kept.granted(CLAIM, RUN)

    assert held(file) == []
    kept.hand_in(result())

    (found,) = taken(file)
    assert (found.claim, found.run, found.outcome) == (CLAIM, RUN, result())
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_the_outcome_of_a_message_with_an_id_is_kept_until_it_is_recorded(file: Path) -> None:
    kept = Spool(str(file))
    kept.granted(NAMED, RUN)
    kept.hand_in(result())

    kept.noted(result())

    assert held(file) == []


def test_one_without_an_id_is_kept_until_its_message_may_be_acked(file: Path) -> None:
    kept = Spool(str(file))
    kept.granted(CLAIM, RUN)
    kept.hand_in(result())

    kept.noted(result())
    assert held(file) == ["j1"]
    kept.forget(KEY)

    assert held(file) == []


def test_what_was_forgotten_before_it_ended_is_not_kept(file: Path) -> None:
    kept = Spool(str(file))
    kept.granted(CLAIM, RUN)

    kept.forget(KEY)
    kept.hand_in(result())

    assert held(file) == []


def test_with_a_session_goes_what_it_brought_without_an_id(file: Path) -> None:
    kept = Spool(str(file))
    later = Claim("toy_queue", b"{}", Properties(), "f2", session=4)
    named = Claim("toy_queue", b"{}", Properties(message_id="j3"), "f3", job_id="j3", session=3)
    for claim, job_id in ((CLAIM, "j1"), (later, "j2"), (named, "j3")):
        kept.granted(claim, Run(job_id))
        kept.hand_in(result(job_id))

    kept.lost(3)

    assert held(file) == ["j2", "j3"]


def test_the_file_stays_small_however_many_jobs_are_done(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "ROUND", 20_000)
    kept = Spool(str(file))
    kept.granted(CLAIM, RUN)
    kept.hand_in(result())

    for number in range(300):
        kept.granted(CLAIM, Run(f"other-{number}"))
        kept.hand_in(result(f"other-{number}"))
        kept.forget(("toy_queue", f"other-{number}"))

    assert held(file) == ["j1"]
    assert file.stat().st_size < 25_000


def test_a_process_begins_with_an_empty_file(file: Path) -> None:
    before = Spool(str(file))
    before.granted(CLAIM, RUN)
    before.hand_in(result())

    after = Spool(str(file))
    after.granted(CLAIM, Run("j2"))
    after.hand_in(result("j2"))

    assert held(file) == ["j2"]


def test_an_outcome_that_is_very_large_is_not_kept(file: Path) -> None:
    kept = Spool(str(file))
    kept.granted(CLAIM, RUN)

    kept.hand_in(result(size=spool.LONGEST))
    kept.forget(KEY)

    assert held(file) == []


def test_without_a_file_nothing_is_kept(tmp_path: Path) -> None:
    kept = Spool("")
    kept.granted(CLAIM, RUN)

    kept.hand_in(result())

    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_costs_the_help_and_no_job(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.parent.touch()  # no folder
    kept = Spool(str(file))
    for number in range(3):
        kept.granted(CLAIM, Run(f"j{number}"))
        kept.hand_in(result(f"j{number}"))

    said = capsys.readouterr()
    assert (said.out + said.err).count("outcomes not spooled") == 1
    file.parent.unlink()
    kept.granted(CLAIM, Run("j9"))
    kept.hand_in(result("j9"))
    assert held(file) == ["j9"]


def test_a_full_disk_leaves_nothing_that_could_be_believed(file: Path) -> None:
    file.parent.mkdir()
    file.symlink_to("/dev/full")  # neither followed nor written
    kept = Spool(str(file))
    kept.granted(CLAIM, RUN)

    kept.hand_in(result())

    assert held(file) == []
    assert not file.is_symlink()


def test_a_line_that_was_cut_off_is_passed_over(file: Path) -> None:
    kept = Spool(str(file))
    for job_id in ("j1", "j2"):
        kept.granted(CLAIM, Run(job_id))
        kept.hand_in(result(job_id))

    os.truncate(file, file.stat().st_size - 1)

    assert held(file) == ["j1"]


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\0\0\0\n",
        b'{"what": "elephant"}\n',
        b"\xff\xfe\n",
        b'{"what": "over", "x": ' + b"[" * 100_000 + b"\n",
    ],
    ids=["zeroes", "unknown", "no text", "deep"],
)
def test_behind_a_line_that_makes_no_sense_nothing_is_read(file: Path, rubbish: bytes) -> None:
    kept = Spool(str(file))
    kept.granted(CLAIM, RUN)
    kept.hand_in(result())
    whole = file.read_bytes()

    file.write_bytes(whole + rubbish + whole)

    assert held(file) == ["j1"]


def test_what_a_power_failure_left_is_not_read(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Spool(str(file))
    kept.granted(CLAIM, RUN)
    kept.hand_in(result())
    other = tmp_path / "boot_id"
    other.write_text("another start of the machine\n")

    monkeypatch.setattr(spool, "_BOOT", other)

    assert held(file) == []


def test_where_nobody_says_which_start_it_is_nothing_is_read(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_BOOT", tmp_path / "nowhere")
    kept = Spool(str(file))
    kept.granted(CLAIM, RUN)
    kept.hand_in(result())

    assert held(file) == []


def test_what_is_granted_when_its_session_is_lost_already_is_not_kept(file: Path) -> None:
    kept = Spool(str(file))
    kept.lost(3)

    kept.granted(CLAIM, RUN)
    kept.hand_in(result())

    assert held(file) == []


def test_what_was_taken_is_gone_and_nothing_else(file: Path) -> None:
    kept = Spool(str(file))
    kept.granted(CLAIM, RUN)
    kept.hand_in(result())
    (file.parent / "notes.txt").touch()

    assert len(spool.take(file.parent)) == 1

    assert [path.name for path in file.parent.iterdir()] == ["notes.txt"]
    assert spool.take(file.parent) == ()


def test_what_cannot_be_removed_is_not_taken(file: Path) -> None:
    file.mkdir(parents=True)

    assert spool.take(file.parent) == ()
    assert spool.discard(file) is False
