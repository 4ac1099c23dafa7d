"""The boxes of an MP4 file: what lies in what. Pure but for reading."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LARGEST = 64 << 20  # bytes of a table of contents that are read; ten hours of film take half
MODEST = 8 << 20  # bytes where it may be a stranger's: it takes several times that to read it
MOST = 1000  # boxes of a file that are looked at: one in fragments has any number
DEPTH = 3  # of what a track holds: mdia, minf, stbl
_PARENTS = frozenset({b"mdia", b"minf", b"stbl", b"edts"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box of the file itself lies: its content begins at ``at`` and ends at ``end``."""

    name: bytes
    at: int
    end: int


def top(path: Path) -> tuple[Place, ...]:
    """Return the first boxes that a file consists of; the last may end beyond the file."""
    found: list[Place] = []
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at + 8 <= size and len(found) < MOST:
            file.seek(at)
            length, name = struct.unpack(">I4s", file.read(8))
            wide = length == 1
            if wide:
                length = int.from_bytes(file.read(8))
            length = max(length or size - at, 8)
            found.append(Place(name, at + (16 if wide else 8), at + length))
            at += length
    return tuple(found)


def contents(path: Path, places: tuple[Place, ...], largest: int = LARGEST) -> bytes:
    """Return the table of contents; nothing where there is none, or one beyond all measure."""
    place = next((place for place in places if place.name == b"moov"), None)
    if place is None or place.end - place.at > largest:
        return b""
    with path.open("rb") as file:
        file.seek(place.at)
        return file.read(place.end - place.at)


def inside(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes that a box holds."""
    at = 0
    while at + 8 <= len(body):
        length, name = struct.unpack_from(">I4s", body, at)
        yield name, body[at + 8 : at + length]
        at += max(length, 8)


def deep(body: bytes, depth: int = DEPTH) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes of a track that hold no others, and what lies deeper than in any track."""
    for name, inner in inside(body):
        if name in _PARENTS and depth:
            yield from deep(inner, depth - 1)
        else:
            yield name, inner
