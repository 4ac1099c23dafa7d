"""The tables of an MP4 file are read where they tell what its packets would, and only there."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.media.conftest import make
from tests.support.clips import Clip, clip
from tests.support.contexts import FakeContext
from workers.media.files import mp4_index, packets
from workers.media.files.film import Film
from workers.media.files.packets import Scan
from workers.media.files.probe import probe
from workers.media.tools import binaries

PLAIN = (
    *(Clip.CLOSED_GOP, Clip.LONG_GOP, Clip.ONE_GOP, Clip.OPEN_GOP, Clip.OPEN_GOP_HEVC, Clip.NTSC),
    *(Clip.UNSTEADY, Clip.TURNED, Clip.SILENT, Clip.LONG_SOUND, Clip.TEN_FRAMES),
)
FURTHER = (Clip.LATE_PICTURE, Clip.ONE_FRAME, Clip.WEBM, Clip.TRANSPORT, Clip.SONG_M4A)


async def told(path: Path, context: FakeContext) -> tuple[Film | None, Film]:
    """Return what a file's tables tell of its picture, and what its packets do."""
    tools = binaries.find()
    media = await probe(tools, path, context)
    stream = media.video.index if media.video else 0
    listed: Scan | None = mp4_index.read(media, stream)
    read = await packets.scan(tools, path, stream, context, origin=media.origin)
    film = None if listed is None else listed.film(media.duration)
    return film, read.film(media.duration)


@pytest.mark.parametrize("film", PLAIN)
async def test_plain_tables_tell_what_the_packets_do(film: Clip, context: FakeContext) -> None:
    listed, read = await told(clip(film), context)

    assert listed is not None
    assert listed == read


@pytest.mark.parametrize("film", FURTHER)
async def test_whatever_is_not_plain_is_left_to_the_packets(
    film: Clip, context: FakeContext
) -> None:
    listed, _ = await told(clip(film), context)

    assert listed is None


async def test_fragments_are_left_to_the_packets(context: FakeContext, tmp_path: Path) -> None:
    fragmented = ("-c", "copy", "-movflags", "+frag_keyframe+empty_moov")
    path = make(tmp_path / "fragments.mp4", "-i", str(clip(Clip.CLOSED_GOP)), *fragmented)

    listed, _ = await told(path, context)

    assert listed is None


async def test_frames_that_an_edit_hides_are_left_to_the_packets(
    context: FakeContext, tmp_path: Path
) -> None:
    source = ("-ss", "3", "-i", str(clip(Clip.CLOSED_GOP)))
    path = make(tmp_path / "from_between_keyframes.mp4", *source, "-c", "copy")

    listed, _ = await told(path, context)

    assert listed is None


@pytest.mark.parametrize("table", [b"stts", b"stsz", b"stsc", b"stss", b"stco", b"elst", b"ctts"])
async def test_tables_that_lie_about_their_rows_are_left_to_the_packets(
    table: bytes, context: FakeContext, tmp_path: Path
) -> None:
    media = await probe(binaries.find(), clip(Clip.SILENT), context)
    path = tmp_path / "lying.mp4"
    content = clip(Clip.SILENT).read_bytes()
    at = content.index(table) + 8 + (4 if table == b"stsz" else 0)
    path.write_bytes(content[:at] + b"\x7f\xff\xff\xff" + content[at + 4 :])

    listed = mp4_index.read(replace(media, path=path), 0)

    assert listed is None


async def test_boxes_without_end_and_within_each_other_are_left_to_the_packets(
    context: FakeContext, tmp_path: Path
) -> None:
    media = await probe(binaries.find(), clip(Clip.SILENT), context)
    many, nested = tmp_path / "many.mp4", tmp_path / "nested.mp4"
    many.write_bytes(b"\0\0\0\x08free" * 5000)
    depth = 5000
    within = ((8 * (depth - at)).to_bytes(4) + b"mdia" for at in range(depth))
    track = b"".join(within)
    track = (8 + len(track)).to_bytes(4) + b"trak" + track
    nested.write_bytes((8 + len(track)).to_bytes(4) + b"moov" + track)

    assert mp4_index.read(replace(media, path=many), 0) is None
    assert mp4_index.read(replace(media, path=nested), 0) is None


async def test_a_film_that_breaks_off_is_left_to_the_packets(
    context: FakeContext, tmp_path: Path
) -> None:
    content = clip(Clip.CLOSED_GOP).read_bytes()  # its tables stand at the beginning
    path = tmp_path / "breaks_off.mp4"
    path.write_bytes(content[: len(content) * 7 // 10])

    listed, _ = await told(path, context)

    assert listed is None
