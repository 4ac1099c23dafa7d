"""Streams in segments: what is one, and whether those that came follow each other."""

import itertools

import pytest

from workers.media.fetching import playlists
from workers.media.fetching.child import segments
from workers.media.fetching.child.bounds import BrokenSegmentError
from workers.media.fetching.child.segments import Format
from workers.media.fetching.continuity import Course

TS = (b"\x47" + bytes(187)) * 3


def box(name: bytes, size: int, body: int | None = None) -> bytes:
    return size.to_bytes(4) + name + bytes((size if body is None else body) - 8)


WIDE = (1).to_bytes(4) + b"mdat" + (32).to_bytes(8) + bytes(16)


@pytest.mark.parametrize(
    ("segment", "form"),
    [
        (TS, Format.TS),
        (TS[:188], Format.TS),
        (box(b"ftyp", 24) + box(b"moov", 100), Format.MP4),
        (box(b"styp", 24) + box(b"moof", 100) + box(b"mdat", 8), Format.MP4),
        (box(b"moof", 100) + WIDE, Format.MP4),
        (box(b"moof", 100) + box(b"mdat", 0, 50), Format.MP4),  # up to the end
        (b"\x1f\x43\xb6\x75" + bytes(50), Format.OTHER),
        (b"\xff\xf1" + bytes(500), Format.OTHER),
        (b"G" + bytes(500), Format.OTHER),
    ],
)
def test_a_whole_segment_is_known_by_its_beginning(segment: bytes, form: Format) -> None:
    assert segments.look(segment, None) is form
    assert segments.look(segment, form) is form


@pytest.mark.parametrize(
    ("segment", "before"),
    [
        (TS[:-1], None),
        (TS[:100], Format.TS),
        (b'{"error": "expired"}', Format.TS),
        (TS, Format.OTHER),
        (box(b"styp", 24) + box(b"mdat", 100, 60), None),
        (box(b"styp", 24) + box(b"mdat", 100) + b"\0\0", None),
        (box(b"styp", 4, 8), None),
        (b"<html>", Format.MP4),
    ],
)
def test_a_segment_that_is_cut_off_or_something_else_is_broken(
    segment: bytes, before: Format | None
) -> None:
    with pytest.raises(BrokenSegmentError):
        segments.look(segment, before)


def course(*times: float, keys: tuple[float, ...] = (), is_picture: bool = False) -> Course:
    made = Course(is_picture=is_picture)
    for at in times:
        made.see(at, key=at in keys)
    return made


def steps(first: float, last: float, step: float = 0.04) -> tuple[float, ...]:
    count = round((last - first) / step)
    return tuple(round(first + n * step, 3) for n in range(count))


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (course(*steps(0, 4)), ""),
        (course(), ""),
        (course(1.0), ""),
        (course(*steps(0, 4), *steps(4.4, 8)), ""),
        (course(*steps(0, 4), *steps(6, 8)), "nothing between 4.0 and 6.0 s"),
        (course(*steps(0, 4), *steps(2, 6)), "goes back from 4.0 to 2.0 s"),
        (course(0.0, 0.16, 0.08, 0.04, 0.12, is_picture=True), ""),
        (course(*steps(0, 4), *steps(6, 8), is_picture=True), ""),  # it stands still
        (course(*steps(0, 4), *steps(6, 8), keys=(6.0,), is_picture=True), "nothing between"),
        (course(*range(0, 40, 2), keys=tuple(range(0, 40, 2)), is_picture=True), ""),  # slides
    ],
)
def test_what_lacks_a_segment_or_has_it_twice_has_a_flaw(seen: Course, said: str) -> None:
    assert said in seen.flaw()
    assert bool(said) == bool(seen.flaw())


HLS = b"#EXTM3U\n%b#EXTINF:4.0,\na.ts\n#EXTINF:4.0,\nb.ts\n"
DASH = b'<MPD mediaPresentationDuration="PT9S">%b</MPD>'


@pytest.mark.parametrize(
    ("text", "is_broken"),
    [
        (HLS % b"", False),
        (HLS % b"#EXT-X-DISCONTINUITY-SEQUENCE:0\n", False),
        (HLS % b"#EXT-X-DISCONTINUITY\r\n", True),
        (DASH % b"<Period></Period>", False),
        (DASH % b'<Period id="1"></Period><Period></Period>', True),
    ],
)
def test_a_playlist_says_whether_its_parts_follow_each_other(
    text: bytes, *, is_broken: bool
) -> None:
    length = playlists.length(text)

    assert length is not None
    assert length.is_broken is is_broken


def test_formats_are_told_in_words() -> None:
    for found, before in itertools.permutations(Format, 2):
        sample = {Format.TS: TS, Format.MP4: box(b"moof", 8), Format.OTHER: b"x"}[found]
        with pytest.raises(BrokenSegmentError, match=f"is {found.value}, .* {before.value}"):
            segments.look(sample, before)
