"""Downloads that go on where a killed one ended, also when nothing was missing any more."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.support.site import Site
from workers.media.wire import Done, FetchRequest

PART = "001-clip.mp4.part"


@pytest.mark.processes
@pytest.mark.parametrize("had", ["a half", "all"])
def test_a_download_goes_on_from_what_a_killed_one_left(had: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    (tmp_path / PART).write_bytes(content if had == "all" else content[: len(content) // 2])

    with Site(content).open() as site:
        done = _fetch(FetchRequest(link=site.link("clip"), folder=str(tmp_path), ffmpeg="ffmpeg"))

    assert [Path(file.path).read_bytes() == content for file in done.files] == [True]
    assert not list(tmp_path.glob("*.part"))


def _fetch(request: FetchRequest) -> Done:
    said = subprocess.run(
        [sys.executable, "-m", "workers.media.fetch"],
        input=msgspec.json.encode(request),
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "src"},
        capture_output=True,
        check=True,
        timeout=25,
    )
    return msgspec.json.decode(said.stdout.splitlines()[-1], type=Done)
