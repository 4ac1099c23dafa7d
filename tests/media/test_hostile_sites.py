"""Downloads from servers that lie, dawdle, break off and never end."""

import asyncio
import gzip
import socket
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from consumers.errors import HostError, RefusedError, TransientError, WorkError
from tests.media.conftest import Clips, make
from tests.support.contexts import FakeContext
from tests.support.media_server import Answer, MediaServer
from workers import download
from workers.media.files.workspace import Places
from workers.processor import Job, ResultFile

FILM, HLS = "video/mp4", "application/vnd.apple.mpegurl"
SOON = {"min_rate": "1kB", "patience": "1s"}


def job(link: str, attempt: int = 1, **data: object) -> Job:
    return Job(id="1", queue="download_queue", data={"link": link, **data}, attempt=attempt)


def allow(context: FakeContext, **options: object) -> None:
    context.options = {**context.options, **options}


async def refused(link: str, context: FakeContext, **data: object) -> WorkError:
    with pytest.raises(WorkError) as caught:
        await download.handle(job(link, 1, **data), context)
    return caught.value


def page(*films: str) -> Answer:
    return Answer("".join(f'<video src="{film}"></video>' for film in films).encode())


def served(site: MediaServer, folder: Path) -> str:
    """Serve a stream's playlist and segments; return the playlist's link."""
    for part in folder.iterdir():
        kind = HLS if part.suffix == ".m3u8" else "video/mp2t"
        if part.is_file():
            site.serve(f"/{part.name}", Answer(part.read_bytes(), kind=kind))
    return f"{site.url}/list.m3u8"


def content(file: ResultFile) -> bytes:
    return Path(file.path).read_bytes()


def leftovers(context: FakeContext) -> list[str]:
    stage = Places.of(job(""), context.media).stage
    return [path.name for path in stage.glob("*")]


@pytest.mark.parametrize("what", ["head", "body"])
@pytest.mark.invariant(11)
async def test_a_site_that_sends_a_byte_at_a_time_is_given_up(
    site: MediaServer, clips: Clips, context: FakeContext, what: str
) -> None:
    allow(context, **SOON)
    link = site.serve("/slow.mp4", Answer(clips.closed_gop.read_bytes(), kind=FILM, drip=what))
    begun = time.monotonic()

    error = await refused(link, context)

    assert (type(error), error.code) == (TransientError, "network"), error
    assert "less than 1 kB a second arrived for 1 s" in error.message
    assert time.monotonic() - begun < 15


async def test_a_site_that_takes_a_connection_and_says_nothing_is_given_up(
    context: FakeContext,
) -> None:
    allow(context, **SOON)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host, port = mute.getsockname()
        error = await refused(f"http://{host}:{port}/clip.mp4", context)

    assert (type(error), error.code) == (TransientError, "network"), error


SEGMENT = "/list2.ts"  # in the middle


def _false(true: bytes, before: bytes) -> dict[str, Answer]:
    kind = "video/mp2t"
    return {
        "words": Answer(b'{"error": "expired"}', kind="application/json"),
        "a half": Answer(true, kind=kind, sized=False, cut_at=len(true) // 4),
        "an empty one": Answer(true[: 2 * 188], kind=kind),
        "the one before": Answer(before, kind=kind),
    }


@pytest.mark.parametrize("what", ["words", "a half", "an empty one", "the one before"])
async def test_a_false_segment_in_the_middle_of_a_stream_is_seen(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path, what: str
) -> None:
    options = ("-i", str(clips.closed_gop), "-c", "copy", "-hls_time", "4", "-hls_list_size", "0")
    link = served(site, make(tmp_path / "list.m3u8", *options).parent)
    true, before = site.answers[SEGMENT].body, site.answers["/list1.ts"].body
    site.serve(SEGMENT, _false(true, before)[what])

    error = await refused(link, context)

    assert (type(error), error.code) == (TransientError, "incomplete"), error


@pytest.mark.parametrize("heeded", [True, False], ids=["heeded", "passed over"])
async def test_stretches_of_one_file_are_segments_only_if_the_site_sends_them_alone(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path, *, heeded: bool
) -> None:
    options = ("-i", str(clips.closed_gop), "-c", "copy", "-hls_time", "4", "-hls_list_size", "0")
    served(site, make(tmp_path / "list.m3u8", *options, "-hls_flags", "single_file").parent)
    whole = site.answers["/list.ts"].body
    link = f"{site.url}/list.m3u8"
    site.serve("/list.ts", Answer(whole, kind="video/mp2t", ranges=heeded))

    if heeded:
        (file,) = (await download.handle(job(link), context)).files
        assert file.duration == pytest.approx(20.0, abs=0.2)
    else:  # each would be the whole film once more
        error = await refused(link, context)
        assert (type(error), error.code) == (TransientError, "incomplete"), error


async def test_a_stream_that_says_where_it_breaks_may_jump(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    options = ("-i", str(clips.closed_gop), "-c", "copy", "-hls_time", "4", "-hls_list_size", "0")
    link = served(site, make(tmp_path / "list.m3u8", *options).parent)
    site.serve(SEGMENT, site.answers["/list1.ts"])
    text = site.answers["/list.m3u8"].body.decode()
    lines = text.replace("list2.ts", "list2.ts\n#EXT-X-DISCONTINUITY")
    site.serve("/list.m3u8", Answer(lines.encode(), kind=HLS))

    assert len((await download.handle(job(link), context)).files) == 1


async def test_a_page_that_unpacks_to_a_thousand_times_its_size_is_given_up(
    site: MediaServer, context: FakeContext
) -> None:
    packed = gzip.compress(bytes(100_000_000))
    answer = Answer(packed, headers={"Content-Encoding": "gzip"})

    error = await refused(site.serve("/page", answer), context)

    assert (type(error), error.code) == (RefusedError, "too_large"), error
    assert {headers["Accept-Encoding"] for _, headers in site.heard} == {"identity"}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "bare deflate"])
async def test_a_page_that_is_packed_without_being_asked_for_is_read(
    site: MediaServer, clips: Clips, context: FakeContext, encoding: str
) -> None:
    site.serve("/a.mp4", Answer(clips.short.read_bytes(), kind=FILM))
    pack = zlib.compressobj(wbits={"gzip": 31, "deflate": 15}.get(encoding, -15))
    body = pack.compress(page("/a.mp4").body) + pack.flush()
    header = {"Content-Encoding": encoding.removeprefix("bare ")}

    result = await download.handle(job(site.serve("/page", Answer(body, headers=header))), context)

    assert len(result.files) == 1


async def test_a_page_that_never_ends_is_given_up(site: MediaServer, context: FakeContext) -> None:
    answer = Answer(b"<p>and on</p>" * 50_000, sized=False, endless=True)

    error = await refused(site.serve("/page", answer), context)

    assert (type(error), error.code) == (RefusedError, "too_large"), error


@pytest.mark.parametrize("sized", [True, False])
async def test_a_file_over_the_cap_is_ended_whether_or_not_its_size_was_told(
    site: MediaServer, clips: Clips, context: FakeContext, *, sized: bool
) -> None:
    allow(context, max_size="100kB")
    film = clips.closed_gop.read_bytes()
    answer = Answer(film, kind=FILM, sized=sized, endless=not sized)

    error = await refused(site.serve("/big.mp4", answer), context)

    assert (type(error), error.code) == (RefusedError, "too_large"), error
    assert "larger than 100 kB" in error.message
    assert leftovers(context) == []


async def test_a_job_may_ask_for_less_than_the_pool_takes_and_not_for_more(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    allow(context, max_duration="10s")
    link = site.serve("/clip.mp4", Answer(clips.closed_gop.read_bytes(), kind=FILM))

    small = await refused(link, context, maxSize=1000, maxDuration=100)
    long = await refused(link, context, maxDuration=100)

    assert small.code == "too_large"
    assert (type(long), long.code) == (RefusedError, "too_long"), long


async def test_a_disk_with_less_room_than_is_to_come_is_the_machines_fault(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    allow(context, max_size="9000TB")
    big = {"Content-Length": str(8 * 10**15)}
    answer = Answer(clips.short.read_bytes(), kind=FILM, sized=False, headers=big)

    error = await refused(site.serve("/big.mp4", answer), context)

    assert (type(error), error.code) == (HostError, "disk_full"), error


@pytest.mark.timeout(60)
async def test_entries_that_failed_are_named_with_their_place_and_their_reason(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    film, false = clips.short.read_bytes(), b"<html>sorry</html>" * 99
    answers = {
        "/1.mp4": Answer(film, kind=FILM),
        "/2.mp4": Answer(b"", 404),
        "/3.mp4": Answer(b"", 410),
        "/4.mp4": Answer(b"", 418),
        "/5.mp4": Answer(b"", 401),
        "/6.mp4": Answer(false, kind=FILM),
        "/7.mp4": Answer(b"%PDF-1.4\n" * 99, kind="application/pdf"),
        "/8.mp4": Answer(b"#EXTM3U\n#EXTINF:4,\n/1.mp4\n", kind=FILM),
        "/9.mp4": Answer(b"", 503),
        "/10.mp4": Answer(film, kind=FILM, chunked=True),
        "/11.mp4": Answer(film[: len(film) * 2 // 3], kind=FILM, sized=False),
    }
    for path, answer in answers.items():
        site.serve(path, answer)
    link = site.serve("/album", page(*answers))

    result = await download.handle(job(link, attempt=2), context)  # 9 was waited for once

    failed = cast("list[Mapping[str, object]]", result.data["failed"])
    items = cast("list[Mapping[str, object]]", result.data["items"])
    assert [(one["index"], one["code"]) for one in failed] == [
        *((2, "not_found"), (3, "not_found"), (4, "unsupported"), (5, "auth"), (6, "not_media")),
        *((7, "not_media"), (8, "not_media"), (9, "network"), (11, "not_media")),
    ]
    assert all(one["message"] for one in failed)
    assert [(item["index"], item["files"]) for item in items] == [
        (1, ["001-album-1.mp4"]),
        (10, ["010-album-10.mp4"]),
    ]
    assert len(result.warnings) == len(failed)


async def test_a_film_whose_connection_ends_early_is_no_success_even_if_it_plays(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    film = clips.closed_gop.read_bytes()  # its index lies in front, so ffprobe sees 20 s
    cut = Answer(film[: len(film) * 2 // 3], kind=FILM, sized=False)

    error = await refused(site.serve("/clip.mp4", cut), context)

    assert (type(error), error.code) == (TransientError, "incomplete"), error


@pytest.mark.parametrize("false", ["an excuse", "a lack"])
async def test_a_stream_with_false_segments_makes_no_shorter_film(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path, *, false: str
) -> None:
    options = ("-i", str(clips.closed_gop), "-c", "copy", "-hls_time", "4", "-hls_list_size", "0")
    link = served(site, make(tmp_path / "list.m3u8", *options).parent)
    if false == "an excuse":
        site.serve("/list3.ts", Answer(b"<html>try later</html>", kind="video/mp2t"))
    else:  # they play 20 s in all
        playlist = site.answers["/list.m3u8"].body.replace(b"#EXTINF:4.0", b"#EXTINF:5.0")
        site.serve("/list.m3u8", Answer(playlist, kind=HLS))

    error = await refused(link, context)

    assert (type(error), error.code) == (TransientError, "incomplete"), error
    assert {"an excuse": "is a page", "a lack": "its playlist has 24.5"}[false] in error.message


async def test_the_beginning_of_a_film_is_no_film_even_if_its_size_is_as_announced(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    film = clips.closed_gop.read_bytes()

    error = await refused(site.serve("/a.mp4", Answer(film[: len(film) // 2], kind=FILM)), context)

    assert (type(error), error.code) == (RefusedError, "truncated"), error
    assert "20.0 s but breaks off after" in error.message


async def test_a_stream_over_the_cap_is_ended_in_the_middle(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    options = ("-i", str(clips.closed_gop), "-c", "copy", "-hls_time", "2", "-hls_list_size", "0")
    link = served(site, make(tmp_path / "list.m3u8", *options).parent)
    allow(context, max_size="500kB")

    error = await refused(link, context)

    assert (type(error), error.code) == (RefusedError, "too_large"), error
    assert ("GET", "/list9.ts") not in site.asked


async def test_a_stream_in_dash_is_compared_with_its_manifest(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    options = ("-i", str(clips.short), "-c", "copy", "-use_template", "0", "-f", "dash")
    folder = make(tmp_path / "list.mpd", *options).parent
    served(site, folder)
    manifest = site.answers["/list.mpd"].body
    false = manifest.replace(b'mediaPresentationDuration="PT3', b'mediaPresentationDuration="PT9')
    kind = "application/dash+xml"
    link = site.serve("/list.mpd", Answer(false, kind=kind))

    error = await refused(link, context)
    site.serve("/list.mpd", Answer(manifest, kind=kind))
    result = await download.handle(job(link), context)

    assert (type(error), error.code) == (TransientError, "incomplete"), error
    assert "its playlist has" in error.message
    assert [file.duration for file in result.files] == [pytest.approx(3.0, abs=0.2)]


async def test_redirects_in_a_circle_or_away_from_the_web_are_refused(
    site: MediaServer, context: FakeContext
) -> None:
    circle = site.serve("/a", Answer(status=302, headers={"Location": "/a"}))
    file = site.serve("/b", Answer(status=302, headers={"Location": "file:///etc/passwd"}))

    errors = [await refused(link, context) for link in (circle, file)]

    assert [(type(error), error.code) for error in errors] == [(RefusedError, "bad_link")] * 2


async def test_a_site_that_stumbles_serves_the_next_attempt(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4", Answer(b"", 503), Answer(clips.short.read_bytes(), kind=FILM))

    error = await refused(link, context)
    result = await download.handle(job(link), context)

    assert isinstance(error, TransientError)
    assert content(result.files[0]) == clips.short.read_bytes()


async def test_a_deadline_ends_what_only_dawdles(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    allow(context, min_rate=0)
    context.deadline = time.monotonic() + 3
    link = site.serve("/slow.mp4", Answer(clips.short.read_bytes(), kind=FILM, drip="head"))

    error = await asyncio.wait_for(refused(link, context), 15)

    assert (type(error), error.code) == (TransientError, "timeout")


async def test_a_selector_that_makes_no_sense_is_the_publishers_mistake(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4", Answer(clips.short.read_bytes(), kind=FILM))

    error = await refused(link, context, format="best[")

    assert (type(error), error.code) == (RefusedError, "bad_option"), error
