"""How long a made piece says it is, read from its own tables: no program is started for it.

Pure but for reading. Players and sites go by these numbers, so the limits are held against them.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from workers.media.files import boxes

HEAD = 65536  # bytes; Matroska says its duration at the beginning
_DURATION = b"\x44\x89\x88"  # the element's id, and that 8 bytes follow


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
    moov = boxes.contents(path, boxes.top(path))
    if not moov:
        return None
    length, frames = 0.0, None
    for name, body in boxes.inside(moov):
        if name == b"mvhd":
            length = max(length, _clock(body))
        elif name == b"trak" and (film := _of_track(body)) is not None:
            length, frames = max(length, film.length), film.frames
    return Told(length, frames)


def _of_track(body: bytes) -> Told | None:
    """Return the length and frames of a picture's track, None for other tracks."""
    found = dict(boxes.deep(body))
    if found.get(b"hdlr", b"")[8:12] != b"vide":
        return None
    return Told(_clock(found[b"mdhd"]), struct.unpack_from(">I", found[b"stsz"], 8)[0])


def _clock(header: bytes) -> float:
    """Return the seconds in a ``mvhd`` or ``mdhd``: both begin alike."""
    form = ">16xIQ" if header[0] else ">8xII"
    scale, duration = struct.unpack_from(form, header, 4)
    return float(duration / scale) if scale else 0.0
