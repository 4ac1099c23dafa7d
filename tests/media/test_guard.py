"""Strangers' links cannot be turned against this machine or its network, by no detour."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.errors import HostError, RefusedError, WorkError
from tests.media.conftest import Clips, make
from tests.support.contexts import FakeContext
from tests.support.media_server import Answer, MediaServer, media_server
from workers import download
from workers.processor import Job

HLS = "application/vnd.apple.mpegurl"
MPD = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S"
 profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period><AdaptationSet mimeType="video/mp4">
<Representation id="1" bandwidth="100000" width="320" height="192" codecs="avc1.42c01e">
<BaseURL>{}/</BaseURL><SegmentList duration="4"><Initialization sourceURL="i.mp4"/>
<SegmentURL media="s.m4s"/></SegmentList></Representation></AdaptationSet></Period></MPD>"""


@pytest.fixture
def inside() -> Iterator[MediaServer]:
    """A server that nobody allowed: nothing may arrive there."""
    with media_server("127.0.0.2") as server:
        yield server
        assert server.asked == []


@pytest.fixture
def outside(site: MediaServer, context: FakeContext) -> MediaServer:
    """A server like one on the internet: downloads may go there, and nowhere else on loopback."""
    context.options = {"allow": [site.url.removeprefix("http://")]}
    return site


def job(link: str) -> Job:
    return Job(id="1", queue="download_queue", data={"link": link}, sender="user123")


async def refused(link: str, context: FakeContext) -> WorkError:
    with pytest.raises(WorkError) as caught:
        await download.handle(job(link), context)
    return caught.value


async def test_this_machine_is_out_of_bounds_unless_it_is_allowed(
    site: MediaServer, clips: Clips, context: FakeContext
) -> None:
    link = site.serve("/clip.mp4", Answer(clips.short.read_bytes(), kind="video/mp4"))
    context.options = {}

    error = await refused(link.replace("127.0.0.1", "localhost"), context)

    assert (type(error), error.code) == (RefusedError, "blocked_address")
    assert f"localhost is at {link.split('/')[2]}" in error.message
    assert "options.allow" in error.hint
    assert site.asked == []


async def test_a_redirect_does_not_lead_inside(
    outside: MediaServer, inside: MediaServer, context: FakeContext
) -> None:
    there = {"Location": f"{inside.url}/secret"}
    link = outside.serve("/clip.mp4", Answer(status=302, headers=there))

    error = await refused(link, context)

    assert (type(error), error.code) == (RefusedError, "blocked_address")
    assert inside.url.removeprefix("http://") in error.message


async def test_a_link_to_a_file_does_not_lead_inside_when_it_is_fetched_the_second_time(
    outside: MediaServer, inside: MediaServer, context: FakeContext
) -> None:
    page = f'<html><title>Album</title><video src="{inside.url}/secret.mp4"></video></html>'

    error = await refused(outside.serve("/page", Answer(page.encode())), context)

    assert (type(error), error.code) == (RefusedError, "blocked_address")


async def test_an_entry_that_leads_inside_is_left_out_of_an_album(
    outside: MediaServer, inside: MediaServer, clips: Clips, context: FakeContext
) -> None:
    outside.serve("/one.mp4", Answer(clips.short.read_bytes(), kind="video/mp4"))
    page = f'<html><video src="/one.mp4"></video><video src="{inside.url}/two.mp4"></video></html>'

    result = await download.handle(job(outside.serve("/page", Answer(page.encode()))), context)

    assert len(result.files) == 1
    assert "entry 2" in result.warnings[0]
    assert "not a public address of others" in result.warnings[0]


@pytest.mark.parametrize(
    "lines",
    [
        "#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{inside}/0.ts\n#EXT-X-ENDLIST",
        '#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI="{inside}/i.mp4"\n#EXTINF:4,\n/0.ts\n'
        "#EXT-X-ENDLIST",
        '#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI="{inside}/key"\n#EXTINF:4,\n'
        "/0.ts\n#EXT-X-ENDLIST",
        "#EXT-X-STREAM-INF:BANDWIDTH=100000\n{inside}/list.m3u8",
    ],
    ids=["segment", "beginning", "key", "variant"],
)
async def test_a_stream_does_not_lead_inside(
    outside: MediaServer, inside: MediaServer, context: FakeContext, lines: str
) -> None:
    text = "#EXTM3U\n" + lines.format(inside=inside.url) + "\n"
    outside.serve("/0.ts", Answer(b"G" * 188, kind="video/mp2t"))

    error = await refused(outside.serve("/l.m3u8", Answer(text.encode(), kind=HLS)), context)

    assert (type(error), error.code) == (RefusedError, "blocked_address"), error


async def test_a_dash_manifest_does_not_lead_inside(
    outside: MediaServer, inside: MediaServer, context: FakeContext
) -> None:
    answer = Answer(MPD.format(inside.url).encode(), kind="application/dash+xml")

    error = await refused(outside.serve("/m.mpd", answer), context)

    assert (type(error), error.code) == (RefusedError, "blocked_address"), error


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("ftp://127.0.0.2/a.mp4", "blocked_address"),
        ("ftp://{outside}/a.mp4", "bad_link"),
        ("http://name:word@127.0.0.2/a.mp4", "blocked_address"),
        ("http://name:word@{outside}/a.mp4", "bad_link"),
    ],
)
async def test_a_redirect_does_not_leave_http(
    outside: MediaServer, context: FakeContext, target: str, code: str
) -> None:
    there = {"Location": target.format(outside=outside.url.removeprefix("http://"))}

    error = await refused(outside.serve("/a.mp4", Answer(status=302, headers=there)), context)

    assert (type(error), error.code) == (RefusedError, code), error


async def test_a_feed_that_names_a_search_leads_nowhere(
    outside: MediaServer, context: FakeContext
) -> None:
    item = "<item><title>a</title><link>ytsearch:words</link></item>"
    feed = f'<?xml version="1.0"?><rss version="2.0"><channel>{item}</channel></rss>'

    link = outside.serve("/feed", Answer(feed.encode(), kind="application/rss+xml"))
    error = await refused(link, context)

    assert (type(error), error.code) == (RefusedError, "bad_link"), error


def encrypted(folder: Path, clip: Path, site: MediaServer) -> str:
    """Serve a clip as an encrypted stream, and return the link of its playlist."""
    key = folder / "key"
    key.write_bytes(b"0123456789abcdef")
    site.serve("/key", Answer(key.read_bytes()))
    (folder / "info").write_text(f"{site.url}/key\n{key}\n{'0' * 32}\n")
    options = ("-c", "copy", "-hls_list_size", "0", "-hls_key_info_file", str(folder / "info"))
    playlist = make(folder / "l.m3u8", "-i", str(clip), *options)
    for part in folder.glob("*.ts"):
        site.serve(f"/{part.name}", Answer(part.read_bytes(), kind="video/mp2t"))
    return site.serve("/l.m3u8", Answer(playlist.read_bytes(), kind=HLS))


async def test_an_encrypted_stream_is_fetched_and_decrypted_without_ffmpeg_connecting(
    outside: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    link = encrypted(tmp_path, clips.short, outside)

    result = await download.handle(job(link), context)

    assert [file.duration for file in result.files] == pytest.approx([3.0], abs=0.2)


async def test_behind_a_proxy_nothing_but_the_proxy_is_reached(
    site: MediaServer, inside: MediaServer, clips: Clips, context: FakeContext
) -> None:
    context.options = {"proxy": site.url, "allow": ["127.0.0.2"]}
    film = "http://films.invalid/clip.mp4"
    site.answers[film] = Answer(clips.short.read_bytes(), kind="video/mp4")
    site.answers["http://films.invalid/away"] = Answer(
        status=302, headers={"Location": f"{inside.url}/secret"}
    )

    result = await download.handle(job(film), context)
    away = Job(id="2", queue="download_queue", data={"link": "http://films.invalid/away"})
    with pytest.raises(RefusedError) as caught:
        await download.handle(away, context)

    assert (len(result.files), caught.value.code) == (1, "not_found")
    assert ("GET", f"{inside.url}/secret") in site.asked


@pytest.mark.parametrize("proxy", ["http://u:secret@", "http://u:secret@proxy:99999", "://x"])
async def test_a_proxy_that_cannot_be_read_is_the_operators_to_correct_and_not_repeated(
    context: FakeContext, proxy: str
) -> None:
    context.options = {"proxy": proxy}

    with pytest.raises(HostError, match="no link to a proxy") as caught:
        await download.handle(job("http://example.org/a.mp4"), context)

    assert caught.value.code == "bad_options"
    assert "secret" not in str(caught.value)


async def test_an_allowance_that_cannot_be_read_is_the_operators_to_correct(
    context: FakeContext,
) -> None:
    context.options = {"allow": ["media.lan"]}

    with pytest.raises(HostError, match=r"'media\.lan' is no address") as caught:
        await download.handle(job("http://example.org/a.mp4"), context)

    assert caught.value.code == "bad_options"
