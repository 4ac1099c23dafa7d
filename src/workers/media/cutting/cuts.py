"""What cutting is told in: plans, and the pieces that come of them. Pure."""

import csv
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from workers.media.files.spans import SAME, Span

MOST_PIECES = 1000


@dataclass(frozen=True, slots=True)
class Copy:
    """Cut without encoding: every edge is a keyframe, or an end of the film."""

    spans: tuple[Span, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Encode:
    """Encode, with a keyframe at the start of each span; the spans may lie anywhere."""

    spans: tuple[Span, ...]
    why: str
    warnings: tuple[str, ...] = ()
    is_steady: bool = False  # frames are repeated while the picture stands still
    is_sewable: bool = True  # sewing has not been found to fail


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece; start and end in seconds of the source, length as it plays."""

    name: str
    start: float
    end: float
    length: float
    frames: int | None = None  # None: its container does not tell without being read through
    kind: str = "video"
    size: int = 0  # bytes
    builds_up: bool = False  # its first picture needs what came before


def aim(limit: float) -> float:
    """Return the length to aim at: sound rounds a piece up by some milliseconds."""
    return limit - min(0.1, limit / 10)


def marks(cuts: Sequence[float], every: Sequence[float]) -> tuple[float, ...]:
    """Return a time before each cut and after the keyframe before it.

    The muxer cuts at the first keyframe from a mark on; far from both, no rounding matters.
    """
    told: list[float] = []
    for cut in cuts:
        place = bisect_left(every, cut - SAME)
        before = every[place - 1] if place else 0.0
        told.append(cut - min(0.5, (cut - before) / 2))
    return tuple(told)


def recorded(listing: str) -> tuple[Piece, ...]:
    """Return the pieces from the segment muxer's CSV list."""
    rows = csv.reader(listing.splitlines())
    spans = [(row[0], float(row[1]), float(row[2])) for row in rows if len(row) == 3]
    return tuple(Piece(name, start, end, end - start) for name, start, end in spans)


def is_short(made: float, expected: float) -> bool:
    """Say whether an output lost its end: ffmpeg exits 0 on an input that breaks off."""
    return expected - made > max(0.5, expected / 100)
