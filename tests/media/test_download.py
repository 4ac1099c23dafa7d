"""The download processor against a server that behaves, and misbehaves, on loopback."""

import asyncio
import os
import resource
import signal
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from consumers.errors import MalformedError, RefusedError, TransientError, WorkError
from tests.media.conftest import Clips, make
from tests.support import offspring
from tests.support.contexts import FakeContext
from tests.support.media_server import Answer, MediaServer
from tests.support.waiting import wait_until
from workers import download
from workers.media.files.workspace import Places
from workers.media.tools import children, confinement
from workers.processor import Job, ResultFile


def job(link: str, name: str = "1", **data: object) -> Job:
    return Job(id=name, queue="download_queue", data={"link": link, **data}, sender="user123")


def video(clips: Clips, name: str = "short") -> Answer:
    return Answer(getattr(clips, name).read_bytes(), kind="video/mp4")


async def refused(link: str, context: FakeContext) -> WorkError:
    with pytest.raises(WorkError) as caught:
        await download.handle(job(link), context)
    return caught.value


def stream(
    site: MediaServer, clips: Clips, folder: Path, *, without: str = "", end: str = ""
) -> str:
    """Serve a clip as HLS, and return the link of its playlist."""
    options = ("-i", str(clips.closed_gop), "-c", "copy", "-hls_time", "4", "-hls_list_size", "0")
    playlist = make(folder / "list.m3u8", *options)
    for part in folder.glob("*.ts"):
        if part.name != without:
            site.serve(f"/{part.name}", Answer(part.read_bytes(), kind="video/mp2t"))
    text = playlist.read_text().replace("#EXT-X-ENDLIST", end or "#EXT-X-ENDLIST")
    kind = "application/vnd.apple.mpegurl"
    return site.serve("/list.m3u8", Answer(text.encode(), kind=kind))


async def test_a_stream_in_segments_arrives_as_one_whole_file(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    result = await download.handle(job(stream(site, clips, tmp_path)), context)

    assert [file.duration for file in result.files] == pytest.approx([20.0], abs=0.2)
    assert Path(result.files[0].path).suffix == ".mp4"


async def test_a_stream_with_a_missing_segment_is_no_success(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    error = await refused(stream(site, clips, tmp_path, without="list2.ts"), context)

    assert (type(error), error.code) == (TransientError, "network"), error


async def test_a_broadcast_is_refused_because_it_has_no_end(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    error = await refused(stream(site, clips, tmp_path, end="#"), context)

    assert (type(error), error.code) == (RefusedError, "live")


async def test_a_file_behind_a_link_is_published_under_its_final_name(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4", video(clips))

    result = await download.handle(job(link), context)

    (file,) = result.files
    assert content(file) == clips.short.read_bytes()
    assert Path(file.path).parent.parent == context.media / "results"
    assert Path(file.path).name == "001-clip.mp4"
    assert (file.width, file.height, file.kind) == (320, 192, "video")
    assert file.duration == pytest.approx(3.0, abs=0.1)
    assert leftovers(context) == []


async def test_progress_rises_from_nothing_and_stays_within_bounds(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    await download.handle(job(site.serve("/clip.mp4", video(clips, "closed_gop"))), context)

    percents = [word.percent for word in context.progressed]
    assert percents[0] == 0
    assert percents == sorted(percents)
    assert percents[-1] >= 95


async def test_progress_is_told_once_or_twice_a_second(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    film = Answer(clips.closed_gop.read_bytes(), kind="video/mp4", takes=2.5)
    link = site.serve("/clip.mp4", Answer(film.body, kind=film.kind), film)  # the first: a look
    told: list[float] = []
    context.on_progress = lambda _percent: told.append(time.monotonic())

    await download.handle(job(link), context)

    under_way = [
        after - before
        for (before, word), (after, _) in pairwise(zip(told, context.progressed, strict=True))
        if 0 < word.percent < 90
    ]
    assert len(under_way) >= 3
    assert min(under_way[:-1]) > 0.4  # the last word does not wait


async def test_a_job_delivered_again_is_answered_without_another_download(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4", video(clips))
    first = await download.handle(job(link), context)
    asked = len(site.asked)

    again = await download.handle(job(link), context)

    assert again == first
    assert len(site.asked) == asked


async def test_every_entry_of_a_page_arrives_and_a_dead_one_is_only_a_warning(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    site.serve("/one.mp4", video(clips))
    site.serve("/three.mp4", video(clips, "tall"))
    page = b'<html><title>Album</title><video src="/one.mp4"></video>'
    page += b'<video src="/two.mp4"></video><video src="/three.mp4"></video></html>'
    link = site.serve("/album", Answer(page))

    result = await download.handle(job(link), context)

    assert len(result.files) == 2
    assert [file.height for file in result.files] == [192, 1080]
    assert len(result.warnings) == 1
    assert "entry 2" in result.warnings[0]
    assert "404" in result.warnings[0]


async def test_the_number_of_entries_can_be_bounded(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    site.serve("/one.mp4", video(clips))
    site.serve("/two.mp4", video(clips))
    page = b'<html><video src="/one.mp4"></video><video src="/two.mp4"></video></html>'

    result = await download.handle(job(site.serve("/album", Answer(page)), maxItems=1), context)

    assert len(result.files) == 1


async def test_only_the_sound_is_kept_when_only_sound_is_asked_for(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4", video(clips))

    result = await download.handle(job(link, audioOnly=True), context)

    assert [file.kind for file in result.files] == ["audio"]
    assert Path(result.files[0].path).suffix == ".m4a"


@pytest.mark.parametrize(
    ("path", "answer", "code", "kind"),
    [
        ("/gone.mp4", Answer(b"", 404), "not_found", RefusedError),
        ("/gone.mp4", Answer(b"", 410), "not_found", RefusedError),
        ("/closed.mp4", Answer(b"", 403), "auth", RefusedError),
        ("/busy.mp4", Answer(b"", 503), "network", TransientError),
        (
            "/often.mp4",
            Answer(b"", 429, headers={"Retry-After": "7"}),
            "rate_limited",
            TransientError,
        ),
        ("/page", Answer(b"<html><p>no film here</p></html>"), "unsupported", RefusedError),
        (
            "/false.mp4",
            Answer(b"<html>error</html>" * 99, kind="video/mp4"),
            "not_media",
            RefusedError,
        ),
        (
            "/doc.mp4",
            Answer(b"%PDF-1.4\n" * 200, kind="application/pdf"),
            "not_media",
            RefusedError,
        ),
    ],
)
async def test_an_answer_that_is_no_film_is_sorted_by_whether_waiting_helps(
    site: MediaServer, context: FakeContext, *, path: str, answer: Answer, code: str, kind: type
) -> None:
    error = await refused(site.serve(path, answer), context)

    assert (error.code, type(error)) == (code, kind), error
    assert str(error)
    assert not str(error).startswith("ERROR")


async def test_a_site_that_asks_for_patience_gets_it(
    site: MediaServer, context: FakeContext
) -> None:
    link = site.serve("/often.mp4", Answer(b"", 429, headers={"Retry-After": "7"}))

    error = await refused(link, context)

    assert isinstance(error, TransientError)
    assert error.after == 7.0


async def test_a_port_where_nobody_listens_is_worth_another_try(
    context: FakeContext, free_port: int
) -> None:
    error = await refused(f"http://127.0.0.1:{free_port}/clip.mp4", context)

    assert (type(error), error.code) == (TransientError, "network")


async def test_a_body_that_breaks_off_is_transient_and_its_part_is_kept_for_resuming(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    whole = clips.short.read_bytes()
    link = site.serve("/clip.mp4", Answer(whole, kind="video/mp4", cut_at=len(whole) // 2))

    error = await refused(link, context)
    site.serve("/clip.mp4", video(clips))
    result = await download.handle(job(link), context)

    assert (type(error), error.code) == (TransientError, "network"), error
    assert content(result.files[0]) == whole


async def test_a_half_of_another_file_is_not_resumed_into_rubbish(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4", replace(video(clips), ranges=True))
    stage = Places.of(job(link), context.media).stage
    stage.mkdir(parents=True)
    (stage / "001-clip.mp4.part").write_bytes(b"y" * 10)

    result = await download.handle(job(link), context)

    assert content(result.files[0]) == clips.short.read_bytes()


async def test_a_cancelled_job_ends_its_download_at_once(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    answer = Answer(clips.closed_gop.read_bytes(), kind="video/mp4", held=True)
    running = asyncio.ensure_future(refused(site.serve("/slow.mp4", answer), context))
    await asyncio.to_thread(site.halfway.wait, 20)
    asked = time.monotonic()
    context.cancelled.set()

    error = await running

    assert (type(error), error.code) == (RefusedError, "cancelled")
    assert time.monotonic() - asked < 3.0
    assert leftovers(context) == []


async def test_a_download_past_its_deadline_is_ended_and_may_be_tried_again(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    answer = Answer(clips.closed_gop.read_bytes(), kind="video/mp4", held=True)
    context.deadline = time.monotonic() + 1.5

    error = await refused(site.serve("/slow.mp4", answer), context)

    assert (type(error), error.code) == (TransientError, "timeout")


async def test_a_download_whose_process_is_killed_goes_on_where_it_was(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    film = Answer(
        clips.closed_gop.read_bytes(), kind="video/mp4", ranges=True, headers={"ETag": '"1"'}
    )
    link = site.serve("/slow.mp4", film, replace(film, held=True))  # the first is a look at it
    before = offspring.alive()
    running = asyncio.ensure_future(refused(link, context))
    await asyncio.to_thread(site.halfway.wait, 20)
    part = Places.of(job(link), context.media).stage / "001-slow.mp4.part"
    grown = partial(wait_until, lambda: part.exists() and part.stat().st_size > 0)
    await asyncio.to_thread(grown, within=10, what="the first bytes on disk")
    for pid in offspring.since(before):
        os.kill(pid, signal.SIGKILL)

    error = await running
    site.serve("/slow.mp4", film)
    result = await download.handle(job(link), context)

    assert (type(error), error.code) == (TransientError, "download_failed")
    assert content(result.files[0]) == film.body
    assert site.spans("/slow.mp4")[-1].startswith("bytes=")


@pytest.mark.processes
async def test_a_download_that_takes_more_processor_time_than_there_is_is_ended_and_says_so(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    answer = Answer(clips.closed_gop.read_bytes(), kind="video/mp4", held=True)
    context.deadline = time.monotonic() + 40
    before = offspring.alive()
    running = asyncio.ensure_future(refused(site.serve("/slow.mp4", answer), context))
    await asyncio.to_thread(site.halfway.wait, 20)
    (child,) = offspring.since(before)
    soft, hard = resource.prlimit(child, resource.RLIMIT_CPU)
    os.kill(child, signal.SIGXCPU)  # as the kernel does then

    error = await running

    assert 0 < soft < hard <= 40 * (os.cpu_count() or 1) + confinement.PATIENCE + children.SLACK
    assert (type(error), error.code) == (TransientError, "timeout")
    assert "processor time" in error.message


async def test_a_worker_that_is_stopped_leaves_no_child_and_no_half_result(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    answer = Answer(clips.closed_gop.read_bytes(), kind="video/mp4", held=True)
    link = site.serve("/slow.mp4", answer)
    before = offspring.alive()
    running = asyncio.ensure_future(download.handle(job(link), context))
    await asyncio.to_thread(site.halfway.wait, 20)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running

    assert not Places.of(job(link), context.media).results.exists()
    assert not offspring.since(before)


async def test_another_programs_secrets_and_proxies_stay_out_of_the_child(
    site: MediaServer, clips: Clips, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    result = await download.handle(job(site.serve("/clip.mp4", video(clips))), context)

    assert len(result.files) == 1


@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/passwd",
        "ytsearch:cats",
        "/etc/passwd",
        "notaurl",
        "http://",
        "http://127.0.0.1:99999/a.mp4",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:port/",
        "-o x",
        "ftp://a/b",
    ],
)
async def test_what_is_not_a_web_link_is_refused_before_anything_starts(
    context: FakeContext, link: str
) -> None:
    with pytest.raises(MalformedError, match="link: must be an http or https link"):
        await download.handle(job(link), context)

    assert not context.media.exists()


def content(file: ResultFile) -> bytes:
    return Path(file.path).read_bytes()


def leftovers(context: FakeContext) -> list[str]:
    return [path.name for path in (context.media / "work").iterdir() if path.name != ".now"]
