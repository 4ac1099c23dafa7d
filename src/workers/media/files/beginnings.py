"""Whether a piece's first picture can be shown, read from the piece itself.

Some encoders never write a whole picture again after the first: stripes of each frame are made
anew by turns (ITU-T H.264, D.2.8), and what counts as a keyframe is where that begins. A player
that starts there has nothing to show until it is done. The packets do not tell; the pictures do.
Pure but for reading.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from workers.media.files import boxes

HEAD = 65536  # bytes; what is said about a picture comes before it
_SLICE, _IDR, _SAID = 1, 5, 6  # kinds of NAL units
_RECOVERY = 6  # of what may be said: after how many frames the picture is right


def builds_up(path: Path) -> bool:
    """Say whether an mp4's first picture is complete only some frames later; False if unknown."""
    try:
        return any(map(_waits, _units(*_first_picture(path))))
    except (struct.error, KeyError, IndexError, ValueError):
        return False


def _first_picture(path: Path) -> tuple[bytes, int]:
    """Return the head of the first picture, and how many bytes tell the length of its parts."""
    moov = boxes.contents(path, boxes.top(path))
    tracks = [dict(boxes.deep(body)) for name, body in boxes.inside(moov) if name == b"trak"]
    film = next((track for track in tracks if track[b"hdlr"][8:12] == b"vide"), {})
    described = film.get(b"stsd", b"")
    at = described.find(b"avcC")
    if at < 0:
        return b"", 4
    form, table = (">I", film[b"stco"]) if b"stco" in film else (">Q", film[b"co64"])
    uniform, _, first = struct.unpack_from(">III", film[b"stsz"] + bytes(4), 4)
    with path.open("rb") as file:
        file.seek(struct.unpack_from(form, table, 8)[0])
        return file.read(min(HEAD, uniform or first)), (described[at + 8] & 3) + 1


def _units(picture: bytes, wide: int) -> Iterator[bytes]:
    """Yield the parts that come before the picture itself."""
    at = 0
    while at + wide < len(picture):
        length = int.from_bytes(picture[at : at + wide])
        unit = picture[at + wide : at + wide + length]
        if not unit or _SLICE <= unit[0] & 0x1F <= _IDR:
            return
        yield unit
        at += wide + length


def _waits(unit: bytes) -> bool:
    if unit[0] & 0x1F != _SAID:
        return False
    said = unit[1:].replace(b"\0\0\3", b"\0\0")  # so that no start code occurs in it
    at = 0
    while at + 2 < len(said):
        kind, at = _number(said, at)
        length, at = _number(said, at)
        if kind == _RECOVERY:
            return not said[at] & 0x80  # a count of 0 is a single bit
        at += length
    return False


def _number(said: bytes, at: int) -> tuple[int, int]:
    """Return a number that is written in bytes of 255 and a last one, and where it ends."""
    value = 0
    while said[at] == 0xFF:
        value += 0xFF
        at += 1
    return value + said[at], at + 1
