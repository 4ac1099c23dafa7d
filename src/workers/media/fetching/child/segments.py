"""Whether a segment of a stream is one: error pages come in their place, and halves of them.

Pure. A segment is held against what its own format says, and against those before it: a stream
does not change its format on the way.
"""

from enum import Enum

from workers.media.fetching.child.bounds import BrokenSegmentError

PACKET, SYNC = 188, 0x47  # bytes of a packet of MPEG-TS, and what each begins with
_BOXES = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"ssix", b"emsg", b"prft"}
    | {b"free", b"skip", b"uuid", b"mfra"}
)


class Format(Enum):
    """What a segment is made of."""

    TS = "MPEG-TS"
    MP4 = "MP4"
    OTHER = "another format"


def look(segment: bytes, before: Format | None) -> Format:
    """Return the format of a whole segment; ``before`` is that of the one it follows.

    Raises:
        BrokenSegmentError: it is cut off, or of another format than the stream was so far.
    """
    found = _format(segment)
    if before is not None and found is not before:
        message = f"a segment of the stream is {found.value}, those before it are {before.value}"
        raise BrokenSegmentError(message)
    if found is Format.TS and len(segment) % PACKET:
        message = f"a segment of the stream breaks off in a packet, after {len(segment)} bytes"
        raise BrokenSegmentError(message)
    if found is Format.MP4 and _end(segment) != len(segment):
        message = f"a segment of the stream breaks off in a box, after {len(segment)} bytes"
        raise BrokenSegmentError(message)
    return found


def _format(segment: bytes) -> Format:
    if segment[:1] == bytes((SYNC,)) and segment[PACKET : PACKET + 1] in {b"", bytes((SYNC,))}:
        return Format.TS
    return Format.MP4 if segment[4:8] in _BOXES else Format.OTHER


def _end(segment: bytes) -> int:
    """Return where the last box says it ends."""
    at = 0
    while at < len(segment):
        if len(segment) - at < 8:
            return -1
        size, head = int.from_bytes(segment[at : at + 4]), 8
        if size == 1:
            size, head = int.from_bytes(segment[at + 8 : at + 16]), 16
        elif size == 0:  # up to the end
            return len(segment)
        if size < head:
            return -1
        at += size
    return at
