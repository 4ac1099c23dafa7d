"""The forms in which sites have their films, and what is picked where there are several."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from consumers.errors import MalformedError, RefusedError, TransientError, WorkError
from tests.media.conftest import Clips, make
from tests.support.clips import Clip, clip
from tests.support.contexts import FakeContext
from tests.support.media_server import Answer, MediaServer
from workers import download
from workers.processor import Job, Result, ResultFile

FILM, PLAYLIST, DASH = "video/mp4", "application/vnd.apple.mpegurl", "application/dash+xml"
VIDEO = {"@context": "https://schema.org", "@type": "VideoObject", "name": "x"}


async def fetched(link: str, context: FakeContext, **wishes: object) -> Result:
    job = Job(id="1", queue="download_queue", data={"link": link, **wishes})
    return await download.handle(job, context)


async def refused(link: str, context: FakeContext) -> WorkError:
    with pytest.raises(WorkError) as caught:
        await fetched(link, context)
    return caught.value


def pages(film: str) -> Mapping[str, Answer]:
    """Return pages that tell of a film in each of the usual ways."""
    told = json.dumps(VIDEO | {"contentUrl": film})
    return {
        "a card": Answer(f'<meta property="og:video" content="{film}">'.encode()),
        "linked data": Answer(f'<script type="application/ld+json">{told}</script>'.encode()),
    }


@pytest.mark.parametrize("form", ["no suffix", "mere bytes", "a card", "linked data"])
async def test_a_film_is_found_however_its_site_tells_of_it(
    site: MediaServer, clips: Clips, context: FakeContext, form: str
) -> None:
    film = clips.short.read_bytes()
    plain = {
        "no suffix": site.serve("/watch", Answer(film, kind=FILM)),
        "mere bytes": site.serve("/film.mp4", Answer(film, kind="application/octet-stream")),
    }
    link = plain.get(form) or site.serve("/page", pages(plain["mere bytes"])[form])

    (file,) = (await fetched(link, context)).files

    assert content(file) == film


@pytest.mark.parametrize(
    ("film", "suffix"),
    [(Clip.TEN_FRAMES, ".mp4"), (Clip.SONG_M4A, ".m4a"), (Clip.WEBM, ".webm")],
)
async def test_a_file_whose_kind_nobody_says_is_named_for_what_it_is(
    site: MediaServer, context: FakeContext, film: Clip, suffix: str
) -> None:
    link = site.serve("/watch", Answer(clip(film).read_bytes(), kind="application/octet-stream"))

    result = await fetched(link, context)

    (file,) = result.files
    assert Path(file.path).name == f"001-watch{suffix}"
    assert result.data["items"] == [{"index": 1, "title": "watch", "files": [f"001-watch{suffix}"]}]


def content(file: ResultFile) -> bytes:
    return Path(file.path).read_bytes()


def in_heights(site: MediaServer, clips: Clips, folder: Path) -> str:
    """Serve a stream in two heights, and return the link of the playlist that names both."""
    master = ["#EXTM3U"]
    for height in (96, 192):
        place = folder / str(height)
        place.mkdir()
        how = ("-i", str(clips.short), "-vf", f"scale=-2:{height}", "-c:v", "libx264")
        segments = ("-preset", "ultrafast", "-hls_time", "2", "-hls_list_size", "0")
        make(place / "list.m3u8", *how, *segments)
        for part in place.iterdir():
            kind = PLAYLIST if part.suffix == ".m3u8" else "video/mp2t"
            site.serve(f"/{height}/{part.name}", Answer(part.read_bytes(), kind=kind))
        wide = height * 320 // 192
        master += [f"#EXT-X-STREAM-INF:BANDWIDTH={height}000,RESOLUTION={wide}x{height}"]
        master += [f"{height}/list.m3u8"]
    return site.serve("/m.m3u8", Answer("\n".join([*master, ""]).encode(), kind=PLAYLIST))


@pytest.mark.parametrize(
    ("wishes", "height"), [({}, 192), ({"maxHeight": 100}, 96), ({"format": "worst"}, 96)]
)
async def test_of_several_heights_the_best_is_taken_that_was_asked_for(
    site: MediaServer,
    clips: Clips,
    context: FakeContext,
    tmp_path: Path,
    *,
    wishes: Mapping[str, object],
    height: int,
) -> None:
    (file,) = (await fetched(in_heights(site, clips, tmp_path), context, **wishes)).files

    assert file.height == height
    assert file.duration == pytest.approx(3.0, abs=0.2)


async def test_a_stream_in_dash_that_lacks_a_segment_is_no_shorter_film(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    how = ("-i", str(clips.closed_gop), "-c", "copy", "-f", "dash", "-use_template", "0")
    parts = make(tmp_path / "list.mpd", *how, "-seg_duration", "4").parent.glob("*")
    for part in parts:
        site.serve(f"/{part.name}", Answer(part.read_bytes(), kind=FILM))
    site.serve("/list.mpd", Answer(site.answers["/list.mpd"].body, kind=DASH))
    lacking = next(path for path in site.answers if path.endswith("00002.m4s"))
    del site.answers[lacking]

    error = await refused(f"{site.url}/list.mpd", context)

    assert (type(error), error.code) == (TransientError, "network"), error


async def test_a_photo_or_a_playlist_in_place_of_a_film_is_refused_by_what_it_is(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    photo = make(tmp_path / "photo.jpg", "-i", str(clips.short), "-frames:v", "1").read_bytes()
    lines = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{}\n#EXT-X-ENDLIST\n"
    answers = {
        "/photo.mp4": Answer(photo, kind=FILM),
        "/of_files.m3u8": Answer(lines.format("file:///etc/passwd").encode(), kind=PLAYLIST),
        "/words": Answer(status=302, headers={"Location": "data:video/mp4,words"}),
    }

    errors = [await refused(site.serve(path, answer), context) for path, answer in answers.items()]

    assert [error.code for error in errors] == ["not_media", "bad_link", "bad_link"]
    assert {type(error) for error in errors} == {RefusedError}


async def test_a_host_without_an_address_is_worth_another_try(context: FakeContext) -> None:
    error = await refused("http://films.invalid/clip.mp4", context)

    assert (type(error), error.code) == (TransientError, "network"), error


@pytest.mark.parametrize("link", ["", "javascript:alert(1)", "data:video/mp4,words"])
async def test_what_only_a_browser_would_follow_is_no_link(context: FakeContext, link: str) -> None:
    with pytest.raises(MalformedError, match="link"):
        await fetched(link, context)

    assert not context.media.exists()


async def test_a_site_that_has_changed_waits_for_hours_and_says_that_yt_dlp_needs_an_update(
    site: MediaServer, context: FakeContext
) -> None:
    link = "http://www.freesound.org/people/anybody/sounds/1/"  # the proxy is asked, nobody else
    site.answers[link] = Answer(b"<html><p>all is new</p></html>")
    context.options = {"proxy": site.url}

    error = await refused(link, context)

    assert (type(error), error.code) == (TransientError, "extractor_broken"), error
    assert isinstance(error, TransientError)
    assert "update yt-dlp" in error.hint
    assert (error.after or 0) >= 3600
