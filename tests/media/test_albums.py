"""Links to many: what arrived before a site got busy is kept, and only the rest is asked for."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from consumers.errors import TransientError
from tests.media.conftest import Clips
from tests.support import offspring
from tests.support.contexts import FakeContext
from tests.support.media_server import Answer, MediaServer
from workers import download
from workers.media.fetching import finished
from workers.media.files.workspace import Places
from workers.processor import Job, Result

NAMES = ("one", "two", "three")
BUSY = Answer(b"", 429)


@pytest.fixture(autouse=True)
def _open_at_once(context: FakeContext) -> None:
    context.options = {**context.options, "sites": {"*": {"cool_down": 0, "interval": 0}}}


def job(link: str, **data: object) -> Job:
    return Job(id="1", queue="download_queue", data={"link": link, **data}, sender="user123")


def film(clips: Clips, name: str = "short") -> Answer:
    return Answer(getattr(clips, name).read_bytes(), kind="video/mp4")


def album(site: MediaServer, clips: Clips, **instead: Answer) -> str:
    """Serve a page with three films, the second longer, some with other answers instead."""
    for name in NAMES:
        usual = film(clips, "closed_gop" if name == "two" else "short")
        site.serve(f"/{name}.mp4", instead.get(name, usual))
    page = "".join(f'<video src="/{name}.mp4"></video>' for name in NAMES)
    return site.serve("/album", Answer(f"<html><title>Album</title>{page}</html>".encode()))


def asked(site: MediaServer) -> dict[str, int]:
    return {name: site.count("GET", f"/{name}.mp4") for name in NAMES}


def served(result: Result, site: MediaServer) -> bool:
    """Answer whether a result has the three films, each once, in the order of the page."""
    return contents(result) == [site.answers[f"/{name}.mp4"].body for name in NAMES]


def contents(result: Result) -> list[bytes]:
    return [Path(file.path).read_bytes() for file in result.files]


async def sent_away(link: str, context: FakeContext) -> TransientError:
    with pytest.raises(TransientError) as caught:
        await download.handle(job(link), context)
    return caught.value


async def test_an_album_goes_on_with_what_is_missing_when_one_entry_was_refused_as_too_busy(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = album(site, clips, two=BUSY)
    error = await sent_away(link, context)
    before = asked(site)
    site.serve("/two.mp4", film(clips, "closed_gop"))

    result = await download.handle(job(link), context)

    assert (error.code, error.counts) == ("rate_limited", False)
    assert (asked(site)["one"], asked(site)["three"]) == (before["one"], before["three"])
    assert served(result, site)
    assert [item["index"] for item in result.data["items"]] == [1, 2, 3]  # type: ignore[attr-defined]
    assert result.warnings == ()
    assert not Places.of(job(link), context.media).stage.exists()


async def test_an_entry_that_changed_its_place_or_its_link_is_fetched_again(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = album(site, clips, two=BUSY)
    await sent_away(link, context)
    page = b'<video src="/new.mp4"></video><video src="/one.mp4"></video>'
    site.serve("/new.mp4", film(clips, "closed_gop"))
    site.serve("/album", Answer(b"<html><title>Album</title>" + page + b"</html>"))

    result = await download.handle(job(link), context)

    assert contents(result) == [site.answers[path].body for path in ("/new.mp4", "/one.mp4")]


async def test_an_entry_that_is_no_media_is_not_kept_for_the_next_attempt(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    page = Answer(b"<html>busy</html>" * 99, kind="video/mp4")
    link = album(site, clips, one=page, two=BUSY)
    await sent_away(link, context)
    album(site, clips)

    result = await download.handle(job(link), context)

    assert served(result, site)


@pytest.mark.processes
async def test_an_album_whose_download_is_killed_keeps_the_entries_that_were_there(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    held = Answer(clips.closed_gop.read_bytes(), kind="video/mp4", held=True)
    link = album(site, clips, two=held)
    before = offspring.alive()
    running = asyncio.ensure_future(sent_away(link, context))
    await asyncio.to_thread(site.halfway.wait, 20)
    for pid in offspring.since(before):
        os.kill(pid, signal.SIGKILL)
    await running
    once = asked(site)
    site.serve("/two.mp4", film(clips, "closed_gop"))

    result = await download.handle(job(link), context)

    assert asked(site)["one"] == once["one"]
    assert served(result, site)


async def test_files_that_are_there_count_in_the_size_of_the_whole(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = album(site, clips, three=BUSY)
    most = 2 * clips.short.stat().st_size + clips.closed_gop.stat().st_size - 1
    wish = job(link, maxSize=most)
    with pytest.raises(TransientError):
        await download.handle(wish, context)
    album(site, clips)

    result = await download.handle(wish, context)

    assert [one["code"] for one in result.data["failed"]] == ["too_large"]  # type: ignore[attr-defined]
    assert len(result.files) == 2


def test_a_note_is_believed_as_far_as_its_files_are_there_and_whole(tmp_path: Path) -> None:
    def note(name: str, *sizes: int) -> bytes:
        files = f'[{{"path": "{tmp_path / name}", "index": 1}}]'
        return f'\n{{"entry": "{name}", "files": {files}, "sizes": {list(sizes)}}}\n'.encode()

    (tmp_path / "whole").write_bytes(b"1234")
    (tmp_path / "grown").write_bytes(b"12345")
    lines = (note("whole", 4), note("grown", 4), note("gone", 4), note("whole", 4), b'{"entry')
    (tmp_path / finished.NOTE).write_bytes(b"".join(lines))

    assert [one.entry for one in finished.read(tmp_path)] == ["whole"]
    assert finished.kept(tmp_path) == {tmp_path / "whole", tmp_path / finished.NOTE}
