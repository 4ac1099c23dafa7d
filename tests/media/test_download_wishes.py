"""What a download has beside its link: cookies, subtitles, and what is there already."""

import asyncio
import logging
import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from consumers.errors import HostError, MalformedError, TransientError, WorkError
from tests.media.conftest import Clips
from tests.support.contexts import FakeContext
from tests.support.media_server import Answer, MediaServer, media_server
from workers import download
from workers.media import readiness
from workers.media.fetching import dedupe
from workers.media.fetching.wire import FetchRequest
from workers.processor import Job, Result

FILM = "video/mp4"
SECRET = "planted-session-value"  # noqa: S105 - to be looked for


def job(link: str, name: str = "1", **data: object) -> Job:
    return Job(id=name, queue="download_queue", data={"link": link, **data})


def film(clips: Clips) -> Answer:
    return Answer(clips.short.read_bytes(), kind=FILM)


def contents(result: Result) -> list[bytes]:
    return [Path(file.path).read_bytes() for file in result.files]


def written(context: FakeContext) -> str:
    """Return what was written below the media root, and under which names."""
    paths = [path for path in context.media.rglob("*") if path.is_file()]
    return "".join(f"{path} {path.read_bytes()!r}" for path in paths)


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    path = tmp_path / "cookies.txt"
    lines = ("# Netscape HTTP Cookie File", f"127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\t{SECRET}")
    path.write_text("\n".join(lines) + "\n")
    return path


async def test_another_job_with_the_same_link_gets_the_files_that_are_there(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4?a=1&b=2", film(clips))
    first = await download.handle(job(link), context)
    asked = len(site.asked)
    same = link.replace("a=1&b=2", "b=2&utm_source=mail&a=1#t=3").replace("http:", "HTTP:")

    second = await download.handle(job(same, "2"), context)

    assert len(site.asked) == asked
    assert contents(second) == contents(first)
    assert second.files[0].path != first.files[0].path
    assert (second.data["sameAs"], second.data["link"]) == ("1", same)
    assert "job 1" in context.logged[-1]


async def test_a_link_is_downloaded_again_when_wished_when_asked_differently_or_when_gone(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4", film(clips))
    first = await download.handle(job(link), context)

    asked = [len(site.asked)]
    for name, wish in (("2", {"fresh": True}), ("3", {"maxHeight": 144})):
        await download.handle(job(link, name, **wish), context)
        asked.append(len(site.asked))
    for name in "12":
        for file in (context.media / "results").glob("*/*.mp4"):
            file.unlink()
        await download.handle(job(link, f"again {name}"), context)
        asked.append(len(site.asked))

    assert first.files
    assert asked == sorted(set(asked))


async def test_a_job_whose_link_is_being_downloaded_gives_its_worker_back_and_loses_nothing(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4", replace(film(clips), held=True))
    first = asyncio.create_task(download.handle(job(link), context))
    assert await asyncio.to_thread(site.halfway.wait, 20)

    with pytest.raises(TransientError) as caught:
        await download.handle(job(link, "2"), context)
    context.cancelled.set()
    with pytest.raises(WorkError, match="cancelled"):
        await first

    assert (caught.value.code, caught.value.counts) == ("busy", False)
    assert caught.value.after == dedupe.PAUSE


@pytest.mark.parametrize("wishes", ["the same", "others"])
async def test_a_link_is_remembered_late_if_its_worker_was_killed_between_publishing_and_that(
    site: MediaServer, clips: Clips, context: FakeContext, wishes: str
) -> None:
    link = site.serve("/clip.mp4", film(clips))
    await download.handle(job(link), context)
    for record in (context.media / "links").iterdir():  # as it is after a kill at that moment
        record.unlink()
    if wishes == "others":  # the pool's options have changed since then
        context.options = {**context.options, "max_height": 480}
    await download.handle(job(link), context)

    second = await download.handle(job(link, "2"), context)

    assert second.data.get("sameAs") == ("1" if wishes == "the same" else None)


async def test_what_a_page_leads_to_is_remembered_late_only_as_long_as_it_would_have_been(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/page", Answer(b'<video src="/clip.mp4"></video>'))
    site.serve("/clip.mp4", film(clips))
    first = await download.handle(job(link), context)
    for record in (context.media / "links").iterdir():
        record.unlink()
    manifest = Path(first.files[0].path).parent / "manifest.json"
    aged = manifest.stat().st_mtime - dedupe.REMEMBERED - 1
    os.utime(manifest, (aged, aged))
    await download.handle(job(link), context)

    second = await download.handle(job(link, "2"), context)

    assert "sameAs" not in second.data


async def test_a_pool_gets_no_file_from_where_it_may_not_go(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4", film(clips))
    await download.handle(job(link), context)
    strangers = FakeContext(media=context.media)

    with pytest.raises(WorkError) as caught:
        await download.handle(job(link, "2"), strangers)

    assert caught.value.code == "blocked_address"


async def test_what_was_missing_once_is_not_remembered_as_missing(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    text = Answer(b"WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n", kind="text/vtt")
    track = b'<track kind="subtitles" srclang="en" src="/en.vtt">'
    link = site.serve("/page", Answer(b'<video src="/clip.mp4">' + track + b"</video>"))
    site.serve("/clip.mp4", film(clips))
    site.serve("/en.vtt", Answer(b"busy", 503))
    first = await download.handle(job(link, subtitles=["en"]), context)
    site.serve("/en.vtt", text)

    second = await download.handle(job(link, "2", subtitles=["en"]), context)
    asked = len(site.asked)
    third = await download.handle(job(link, "3", subtitles=["en"]), context)

    assert [len(result.files) for result in (first, second, third)] == [1, 2, 2]
    assert (first.data["list"], third.data["sameAs"]) == (True, "2")
    assert len(site.asked) == asked


async def test_cookies_of_other_sites_in_the_same_file_stay_at_home(
    site: MediaServer, clips: Clips, context: FakeContext, jar: Path
) -> None:
    with jar.open("a") as lines:
        lines.write("127.0.0.2\tFALSE\t/\tFALSE\t0\tbank\tthe-value-of-another\n")
    context.options = {**context.options, "cookies": {"127.0.0.1": str(jar)}}
    with media_server("127.0.0.2") as other:
        to = other.serve("/clip.mp4", film(clips))
        link = site.serve("/go.mp4", Answer(b"", 302, headers={"Location": to}))
        await download.handle(job(link), context)

    assert [headers.get("Cookie") for _, headers in other.heard if headers.get("Cookie")] == []
    assert site.heard[0][1]["Cookie"] == f"session={SECRET}"


async def test_cookies_go_to_their_site_and_nowhere_else(
    site: MediaServer,
    clips: Clips,
    context: FakeContext,
    jar: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    context.options = {**context.options, "cookies": {"127.0.0.1": str(jar)}}
    title = f"<title>{SECRET}</title>".encode()
    link = site.serve("/page", Answer(title + b'<video src="/clip.mp4"></video>'))
    site.serve("/clip.mp4", film(clips))
    gone = site.serve("/gone.mp4", Answer(b"", 404))

    result = await download.handle(job(link), context)
    with pytest.raises(WorkError) as caught:
        await download.handle(job(gone, "2"), context)

    sent = {headers.get("Cookie") for path, headers in site.heard if path != "/gone.mp4"}
    assert sent == {f"session={SECRET}"}
    told = f"{result} {caught.value!r} {caught.value.hint} {context.logged} {context.progressed}"
    assert SECRET not in told + caplog.text + written(context)


def test_a_request_that_is_printed_shows_no_cookies() -> None:
    request = FetchRequest(link="http://a/", folder="/f", ffmpeg="ffmpeg", cookies=SECRET)

    assert SECRET not in f"{request!r} {request}"
    assert SECRET in msgspec.json.encode(request).decode()


@pytest.mark.parametrize("content", [None, "session=1"])
def test_cookies_that_cannot_be_read_hold_the_worker_and_blame_no_job(
    context: FakeContext, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "jar.txt"
    if content is not None:
        path.write_text(content)
    context.options = {"cookies": {"example.org": str(path)}}

    with pytest.raises(HostError, match=r"cookies of example\.org") as caught:
        readiness.examine(context)

    assert caught.value.code == "bad_options"


async def test_subtitles_come_along_and_missing_ones_are_only_a_warning(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    text = b"WEBVTT\n\n00:00.000 --> 00:02.000\nhello\n"
    page = b'<video><source src="/clip.mp4"><track kind="subtitles" src="/en.vtt" srclang="en">'
    site.serve("/en.vtt", Answer(text, kind="text/vtt"))
    site.serve("/clip.mp4", film(clips))
    link = site.serve("/page", Answer(page + b"</video>"))

    result = await download.handle(job(link, subtitles=["en", "pt-BR"]), context)

    assert [file.kind for file in result.files] == ["video", "subtitles"]
    assert contents(result)[1] == text
    assert Path(result.files[1].path).suffix == ".vtt"
    assert result.warnings == ("there are no subtitles in 'pt-BR'",)


async def test_subtitles_with_a_hostile_name_cost_neither_the_film_nor_the_other_subtitles(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    tracks = [f'<track kind="subtitles" src="/x.vtt" srclang="{of}">' for of in ("../x", "en")]
    site.serve("/x.vtt", Answer(b"WEBVTT\n\n00:00.000 --> 00:02.000\nhello\n", kind="text/vtt"))
    site.serve("/clip.mp4", film(clips))
    page = f'<video><source src="/clip.mp4">{"".join(tracks)}</video>'

    link = site.serve("/page", Answer(page.encode()))
    result = await download.handle(job(link, subtitles=["all"]), context)

    assert [file.kind for file in result.files] == ["video", "subtitles"]
    assert result.warnings[0].startswith("subtitles in '../x'")


@pytest.mark.parametrize(
    ("field", "value"),
    [("maxSize", 0), ("maxDuration", -1), ("format", "a;b"), ("format", "x" * 400),
     ("subtitles", ["../en"]), ("subtitles", "en"), ("fresh", "yes")],
)  # fmt: skip
async def test_a_wish_that_cannot_be_is_refused_by_its_name(
    context: FakeContext, field: str, value: object
) -> None:
    with pytest.raises(MalformedError, match=field):
        await download.handle(job("http://127.0.0.1/", "1", **{field: value}), context)
