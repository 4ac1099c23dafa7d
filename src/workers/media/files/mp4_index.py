"""A film's packets as an MP4 file's own tables list them, without reading through the film.

Only tables that say it plainly are understood: one picture, one edit that shows all of it, no
fragments. Of every other file the packets are read. Pure but for reading.
"""

import itertools
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.media.files import boxes
from workers.media.files.packets import Scan
from workers.media.files.probe import Media

# Other ways to say what stands in the tables, and what they do not say.
_UNREAD = frozenset({b"stz2", b"stps", b"sgpd", b"sbgp"})
MOST = 500_000  # frames; the packets of more are read, for that needs less memory
ONE = 0x10000  # the speed of an edit that plays as it was recorded


class _UnclearError(Exception):
    """The tables say it in a way that is not read here."""


@dataclass(frozen=True, slots=True)
class _Tables:
    """The columns of a picture's table: a row for each frame in the order of the file."""

    scale: int  # ticks a second
    lengths: "array[int]"
    delays: "array[int]"  # from when it is decoded until it is shown
    weights: "array[int]"
    keys: Sequence[int]  # counted from 0, in order
    begin: int  # the tick that is the film's beginning
    end: float  # the tick at which it is over


def read(media: Media, stream: int) -> Scan | None:
    """Return what the packets of the picture tell; None where they have to be read."""
    if media.video is None or media.video.index != stream or "mov" not in media.container:
        return None
    try:
        tables = _tables(*_found(media.path, stream))
        return _scanned(tables, Scan(media.origin, stream))
    except (_UnclearError, struct.error, KeyError, IndexError, OverflowError, ValueError):
        return None


def _found(path: Path, stream: int) -> tuple[bytes, Mapping[bytes, bytes]]:
    """Return the head of the film, and the boxes of the track that is the stream."""
    places = boxes.top(path)
    size = path.stat().st_size
    _require(len(places) < boxes.MOST)
    _require(all(place.end <= size and place.name != b"moof" for place in places))
    parts = list(boxes.inside(boxes.contents(path, places, boxes.MODEST)))
    _require(b"mvex" not in dict(parts))
    tracks = [list(boxes.deep(body)) for name, body in parts if name == b"trak"]
    films = [at for at, track in enumerate(tracks) if dict(track)[b"hdlr"][8:12] == b"vide"]
    _require(films == [stream])
    track = dict(tracks[stream])
    _require(len(track) == len(tracks[stream]) and not _UNREAD & track.keys())
    _require(struct.unpack_from(">I", track[b"stsd"], 4)[0] == 1 and _lies_within(track, size))
    return dict(parts)[b"mvhd"], track


def _lies_within(track: Mapping[bytes, bytes], size: int) -> bool:
    """Say whether all frames that are counted have their place in the file."""
    offsets = _offsets(track)
    runs = _column(track[b"stsc"], 8, 3 * struct.unpack_from(">I", track[b"stsc"], 4)[0])
    edges = itertools.pairwise([*runs[::3], len(offsets) + 1])
    held = sum((after - at) * many for (at, after), many in zip(edges, runs[1::3], strict=True))
    (count,) = struct.unpack_from(">I", track[b"stsz"], 8)
    return held == count and max(offsets) < size


def _offsets(track: Mapping[bytes, bytes]) -> "array[int]":
    """Return where the runs of frames begin."""
    if b"stco" in track:
        return _column(track[b"stco"], 8, struct.unpack_from(">I", track[b"stco"], 4)[0])
    table = track[b"co64"]
    return _column(table, 8, struct.unpack_from(">I", table, 4)[0], "Q")


def _tables(head: bytes, track: Mapping[bytes, bytes]) -> _Tables:
    uniform, count = struct.unpack_from(">II", track[b"stsz"], 4)
    _require(uniform == 0 and 0 < count <= MOST)
    scale = _scale(track[b"mdhd"])
    begin, end = _edit(track.get(b"elst"), scale / _scale(head))
    return _Tables(
        scale=scale,
        lengths=_spread(track[b"stts"], count),
        delays=_spread(track[b"ctts"], count) if b"ctts" in track else array("I", [0]) * count,
        weights=_column(track[b"stsz"], 12, count),
        keys=_keys(track.get(b"stss"), count),
        begin=begin,
        end=end,
    )


def _scanned(tables: _Tables, seen: Scan) -> Scan:
    decoded = itertools.accumulate(tables.lengths, initial=0)
    shown = [at + delay for at, delay in zip(decoded, tables.delays, strict=False)]
    # What is shown before the beginning or after the end is left out by some way that is not ours.
    _require(min(shown) == tables.begin and max(shown) < tables.end)
    moments = [round((at - tables.begin) / tables.scale, 6) for at in shown]
    seen.fill(moments, tables.weights, tables.keys)
    return seen


def _keys(table: bytes | None, count: int) -> Sequence[int]:
    """Return the keyframes; without a table, every frame is one."""
    if table is None:
        return range(count)
    listed = _column(table, 8, struct.unpack_from(">I", table, 4)[0])
    is_in_order = all(before < after for before, after in itertools.pairwise(listed))
    _require(is_in_order and listed[0] > 0 and listed[-1] <= count)
    return [at - 1 for at in listed]


def _edit(listed: bytes | None, ticks: float) -> tuple[int, float]:
    """Return the ticks at which the film begins and ends; without a list, it plays as it is."""
    if listed is None:
        return 0, float("inf")
    form = ">QqI" if listed[0] else ">IiI"
    count = struct.unpack_from(">I", listed, 4)[0]
    length, begin, speed = struct.unpack_from(form, listed, 8)
    _require(count == 1 and begin >= 0 and speed == ONE)
    return begin, begin + (length * ticks if length else float("inf"))


def _spread(table: bytes, count: int) -> "array[int]":
    """Return a column whose table says how often each value comes, and then the value."""
    entries = _column(table, 8, 2 * struct.unpack_from(">I", table, 4)[0])
    many, values = entries[::2], entries[1::2]
    _require(sum(many) == count and max(values) < 1 << 31)
    return array("I", itertools.chain.from_iterable(map(itertools.repeat, values, many)))


def _column(table: bytes, first: int, count: int, form: str = "I") -> "array[int]":
    """Return so many numbers of four bytes, or of the form's."""
    column = array(form)
    length = column.itemsize * count
    _require(first + length <= len(table))
    column.frombytes(table[first : first + length])
    if sys.byteorder == "little":
        column.byteswap()
    return column


def _scale(header: bytes) -> int:
    """Return the ticks a second of a ``mvhd`` or ``mdhd``."""
    (scale,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
    _require(scale > 0)
    return int(scale)


def _require(is_so: bool) -> None:  # noqa: FBT001 - it reads like assert
    if not is_so:
        raise _UnclearError
