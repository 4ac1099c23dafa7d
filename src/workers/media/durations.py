"""How long a made piece says it is, read from its own tables: no program is started for it.

Pure but for reading. Players and sites go by these numbers, so the limits are held against them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEAD = 65536  # bytes; Matroska says its duration at the beginning
_DURATION = b"\x44\x89\x88"  # the element's id, and that 8 bytes follow
_PARENTS = frozenset({b"trak", b"mdia", b"minf", b"stbl"})


@dataclass(frozen=True, slots=True)
class Told:
    """What a file says of itself: its length in seconds, and how many frames its picture has."""

    length: float
    frames: int | None = None


def read(path: Path) -> Told | None:
    """Return what a piece says of itself; None when its container is none we read."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head[4:8] == b"ftyp":
        return _of_mp4(path)
    at = head.find(_DURATION) if head.startswith(b"\x1a\x45\xdf\xa3") else -1
    if at < 0:
        return None
    return Told(struct.unpack_from(">d", head, at + len(_DURATION))[0] / 1000)


def _of_mp4(path: Path) -> Told | None:
    moov = next((body for name, body in _top(path) if name == b"moov"), b"")
    if not moov:
        return None
    length, frames = 0.0, None
    for name, body in _boxes(moov):
        if name == b"mvhd":
            length = max(length, _clock(body))
        elif name == b"trak" and (film := _of_track(body)) is not None:
            length, frames = max(length, film.length), film.frames
    return Told(length, frames)


def _of_track(body: bytes) -> Told | None:
    """Return the length and frames of a picture's track, None for other tracks."""
    found = dict(_deep(body))
    if found.get(b"hdlr", b"")[8:12] != b"vide":
        return None
    return Told(_clock(found[b"mdhd"]), struct.unpack_from(">I", found[b"stsz"], 8)[0])


def _top(path: Path) -> Iterator[tuple[bytes, bytes]]:
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length, name = struct.unpack(">I4s", file.read(8))
            wide = length == 1
            length = struct.unpack(">Q", file.read(8))[0] if wide else length or size - at
            yield name, file.read(length - (16 if wide else 8)) if name == b"moov" else b""
            at += max(length, 8)


def _boxes(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(body):
        length, name = struct.unpack_from(">I4s", body, at)
        yield name, body[at + 8 : at + length]
        at += max(length, 8)


def _deep(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name, inner in _boxes(body):
        if name in _PARENTS:
            yield from _deep(inner)
        else:
            yield name, inner


def _clock(header: bytes) -> float:
    """Return the seconds in a ``mvhd`` or ``mdhd``: both begin alike."""
    form = ">16xIQ" if header[0] else ">8xII"
    scale, duration = struct.unpack_from(form, header, 4)
    return float(duration / scale) if scale else 0.0
