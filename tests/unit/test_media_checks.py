"""What the doctor says of ffmpeg's confinement, of roots, and of the media folder's quota."""

from pathlib import Path

import pytest

from supervisor.cli import media_checks
from supervisor.cli.checks import Level
from supervisor.config.settings import Pool, Settings
from workers.media.tools import landlock


def settings(media: Path, *, quota: int = 0, roots: list[str] | None = None) -> Settings:
    pool = Pool("cutter", "q", "workers.cutter", options={"roots": roots or []})
    workers = {"cutter": pool}
    return Settings("embedded", media, "", media=media, workers=workers, media_quota=quota)


def test_tools_are_tried_as_jobs_start_them() -> None:
    confined, encoders = media_checks.about_tools()

    assert confined.level is (Level.OK if landlock.version() else Level.WARN)
    assert confined.found.startswith(("Landlock", "limits of the system only"))
    assert (encoders.level, encoders.found) == (Level.OK, "libx264, aac")


def test_without_ffmpeg_its_encoders_are_not_spoken_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(media_checks, "_CONFINED", "print('Landlock 7')")

    assert [answer.what for answer in media_checks.about_tools()] == ["confinement"]


def test_an_ffmpeg_that_cannot_be_confined_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_checks, "_CONFINED", "raise SystemExit('it needs /home')")

    (answer,) = media_checks.about_tools()

    assert (answer.level, answer.found) == (Level.FAIL, "it needs /home")
    assert "confine: false" in answer.remedy


def test_roots_are_named_with_their_pool(tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.mkdir()

    found, missed = media_checks.about_roots(settings(tmp_path, roots=[str(there), str(gone)]))

    assert (found.level, found.found) == (Level.OK, f"{there} may be read by pool cutter")
    assert (missed.level, missed.found.endswith("but is no folder")) == (Level.WARN, True)


@pytest.mark.parametrize(("quota", "level"), [(11, Level.OK), (10, Level.FAIL)])
def test_the_quota_is_told_with_what_is_used_of_it(
    quota: int, level: Level, tmp_path: Path
) -> None:
    (tmp_path / "results" / "key").mkdir(parents=True)
    (tmp_path / "results" / "key" / "film.mp4").write_bytes(b"x" * 10)

    (answer,) = media_checks.about_quota(settings(tmp_path, quota=quota))

    assert answer.level is level


def test_without_a_quota_nothing_is_said(tmp_path: Path) -> None:
    assert list(media_checks.about_quota(settings(tmp_path))) == []
