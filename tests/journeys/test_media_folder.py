"""The media folder is kept in bounds: old results go, and a full one lets no job begin."""

import os
import shutil
from pathlib import Path

import pytest

from tests.journeys.conftest import Configured

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

DAY = 86400.0


def publish(media: Path, key: str, *, age: float) -> Path:
    """Put the result of an earlier job into the media folder."""
    folder = media / "results" / key
    folder.mkdir(parents=True)
    (folder / "film.mp4").write_bytes(b"x" * 5000)
    manifest = folder / "manifest.json"
    manifest.write_text("{}")
    when = manifest.stat().st_mtime - age
    os.utime(manifest, (when, when))
    return folder


def test_old_results_go_and_what_stays_beyond_the_quota_lets_no_job_begin(
    configured: Configured, tmp_path: Path
) -> None:
    root = tmp_path / "media"
    old = publish(root, "0" * 64, age=8 * DAY)
    young = publish(root, "1" * 64, age=6 * DAY)
    abandoned = root / "work" / ("2" * 64)
    abandoned.mkdir(parents=True)
    os.utime(abandoned, (0, 0))
    media = {"root": str(root), "keep": "7d", "quota": "4kB"}

    program = configured({"toy": {}}, media=media).start(wait=False)
    program.wait_for_line("workers held, they take nothing new", hold="media quota")

    assert not old.exists()
    assert young.exists()
    assert not abandoned.exists()
    assert len(program.lines("old results removed")) == 1
    program.wait_until(lambda: program.worker("toy-1").holds, "the worker to be held")
    assert "media.quota" in program.worker("toy-1").holds["media quota"]
    (job,) = program.submit("toy", {"do": "nothing"})
    shutil.rmtree(young)
    program.wait_for_state("completed", job)
