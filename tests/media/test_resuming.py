"""Downloads that go on where a killed one ended, if it can be told that the file is the same."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.support.media_server import Answer, MediaServer
from workers.media.fetching import origin
from workers.media.fetching.wire import Done, FetchRequest

PART = "001-clip.mp4.part"
OLD, NEW = bytes(range(256)) * 4000, bytes(reversed(range(256))) * 4000
HALF = len(OLD) // 2
TAGGED: Mapping[str, str] = {"ETag": '"first"'}


@pytest.mark.processes
@pytest.mark.parametrize("had", ["a half", "all"])
def test_a_download_goes_on_from_what_a_killed_one_left(
    had: str, site: MediaServer, tmp_path: Path
) -> None:
    leave(tmp_path, OLD if had == "all" else OLD[:HALF], TAGGED)

    arrived = fetch(site, Answer(OLD, kind="video/mp4", headers=TAGGED, ranges=True), tmp_path)

    assert arrived == OLD
    assert f"bytes={len(OLD) if had == 'all' else HALF}-" in site.spans("/clip.mp4")
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.processes
@pytest.mark.parametrize(
    ("noted", "answer"),
    [
        (TAGGED, Answer(NEW, headers={"ETag": '"second"'}, ranges=True)),
        (TAGGED, Answer(NEW, headers={"ETag": '"second"'}, ranges=True, polite=False)),
        (TAGGED, Answer(NEW[:-9], headers=TAGGED, ranges=True, polite=False)),
        (TAGGED, Answer(NEW, ranges=True, polite=False)),
        ({}, Answer(NEW, headers=TAGGED, ranges=True)),
    ],
    ids=["changed", "changed, If-Range ignored", "other size", "no etag any more", "no note"],
)
def test_a_half_is_thrown_away_when_nothing_says_it_is_of_the_same_file(
    noted: Mapping[str, str], answer: Answer, site: MediaServer, tmp_path: Path
) -> None:
    leave(tmp_path, OLD[:HALF], noted)

    arrived = fetch(site, replace(answer, kind="video/mp4"), tmp_path)

    assert arrived == answer.body


@pytest.mark.processes
@pytest.mark.parametrize("headers", [TAGGED, {}], ids=["an etag", "none"])
def test_a_transfer_that_breaks_off_is_completed_or_begun_again_never_patched_up(
    headers: Mapping[str, str], site: MediaServer, tmp_path: Path
) -> None:
    broken = Answer(OLD, kind="video/mp4", headers=headers, ranges=True, cut_at=HALF)
    whole = Answer(OLD if headers else NEW, kind="video/mp4", headers=headers, ranges=True)

    site.serve("/clip.mp4", broken, broken, whole)  # the first is a look at what it is
    arrived = fetched(site.url + "/clip.mp4", tmp_path)

    assert arrived == whole.body


@pytest.mark.processes
def test_segments_of_a_killed_run_are_fetched_again(site: MediaServer, tmp_path: Path) -> None:
    leave(tmp_path, b"half of a segment", TAGGED)
    for name in (f"{PART}-Frag3", f"{PART}-Frag4.part", "001-clip.mp4.ytdl"):
        (tmp_path / name).write_bytes(b"{}")

    origin.keep_resumable(tmp_path)

    assert list(tmp_path.iterdir()) == []


def leave(folder: Path, content: bytes, headers: Mapping[str, str]) -> None:
    """Leave what a killed run would have left."""
    (folder / PART).write_bytes(content)
    origin.note(folder / PART, origin.of({**headers, "Content-Length": str(len(OLD))}))


def fetch(site: MediaServer, answer: Answer, folder: Path) -> bytes:
    origin.keep_resumable(folder)
    return fetched(site.serve("/clip.mp4", answer), folder)


def fetched(link: str, folder: Path) -> bytes:
    request = FetchRequest(link=link, folder=str(folder), ffmpeg="ffmpeg", allow=("127.0.0.0/8",))
    said = subprocess.run(
        [sys.executable, "-m", "workers.media.fetching.child.fetch"],
        input=msgspec.json.encode(request),
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "src"},
        capture_output=True,
        check=False,
        timeout=25,
    )
    assert said.returncode == 0, said.stdout
    done = msgspec.json.decode(said.stdout.splitlines()[-1], type=Done)
    (file,) = done.files
    return Path(file.path).read_bytes()
