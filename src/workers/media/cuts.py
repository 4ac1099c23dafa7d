"""Where a file is cut: keyframes in, cut points out.

Pure. A keyframe is *clean* when no packet after it in the file is shown before it. Cutting at any
other keyframe (an open GOP) loses the frames that needed the piece before.
"""

import csv
import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Mode = Literal["auto", "exact", "copy"]

MOST_PIECES = 1000


@dataclass(frozen=True, slots=True)
class Copy:
    """Cut without encoding, at these seconds of the source.

    ``marks`` are what the muxer is told: it cuts at the first keyframe from each mark on. They
    lie well before the cuts, because its clock may start some frames later than the file's.
    """

    cuts: tuple[float, ...]
    marks: tuple[float, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Encode:
    """Encode once with a keyframe every ``step`` seconds, and cut there."""

    step: float
    why: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Keyframes:
    """The seconds of the keyframes, in order, the clean ones apart."""

    clean: tuple[float, ...]
    every: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece; start and end in seconds of the source, length as it plays."""

    name: str
    start: float
    end: float
    length: float


def aim(limit: float) -> float:
    """Return the length to aim at: containers round a piece up by some milliseconds."""
    return limit - min(0.1, limit / 10)


def pieces_expected(duration: float, limit: float) -> int:
    """Return how many pieces there will be at least."""
    return max(1, math.ceil(duration / limit))


def choose(mode: Mode, keyframes: Keyframes, duration: float, limit: float) -> Copy | Encode:
    """Return how to cut so that, unless the mode is ``copy``, no piece is over the limit."""
    if mode == "exact":
        return Encode(aim(limit), why="exact cuts were asked for")
    cuts = bounded(keyframes.clean, duration, limit)
    if cuts is not None:
        return Copy(cuts, marks(cuts, keyframes.every))
    if mode == "copy":
        return _overshooting(keyframes, duration, limit)
    return Encode(aim(limit), why="no clean keyframe within every piece")


def bounded(clean: Sequence[float], duration: float, limit: float) -> tuple[float, ...] | None:
    """Return cuts at clean keyframes that keep every piece within the limit, fewest first.

    Each cut is the last clean keyframe that still fits. None when some stretch has no such
    keyframe: then copying cannot keep the limit.
    """
    if duration <= limit:
        return ()
    cuts: list[float] = []
    start, reach = 0.0, aim(limit)
    while duration - start > reach:
        last = bisect_right(clean, start + reach) - 1
        if last < 0 or clean[last] <= start:
            return None
        start = clean[last]
        cuts.append(start)
    return tuple(cuts)


def nearest(keyframes: Sequence[float], duration: float, limit: float) -> tuple[float, ...]:
    """Return cuts at the last keyframe that fits, or the first after it where none does."""
    cuts: list[float] = []
    start, reach = 0.0, aim(limit)
    while duration - start > limit:
        first = bisect_right(keyframes, start)
        if first == len(keyframes) or keyframes[first] >= duration:
            break
        start = keyframes[max(first, bisect_right(keyframes, start + reach) - 1)]
        cuts.append(start)
    return tuple(cuts)


def marks(cuts: Sequence[float], every: Sequence[float]) -> tuple[float, ...]:
    """Return a time before each cut and after the keyframe before it."""
    told: list[float] = []
    for cut in cuts:
        place = bisect_left(every, cut)
        before = every[place - 1] if place else 0.0
        told.append(cut - min(0.5, (cut - before) / 2))
    return tuple(told)


def recorded(listing: str) -> tuple[Piece, ...]:
    """Return the pieces from the segment muxer's CSV list."""
    rows = csv.reader(listing.splitlines())
    spans = [(row[0], float(row[1]), float(row[2])) for row in rows if len(row) == 3]
    return tuple(Piece(name, start, end, end - start) for name, start, end in spans)


def aligned(pieces: Sequence[Piece], plan: Copy, duration: float) -> tuple[Piece, ...]:
    """Return the pieces with the plan's seconds, which the muxer's clock may have shifted."""
    if len(pieces) != len(plan.cuts) + 1:
        return tuple(pieces)
    edges = itertools.pairwise((0.0, *plan.cuts, duration))
    return tuple(
        replace(piece, start=start, end=end)
        for piece, (start, end) in zip(pieces, edges, strict=True)
    )


def over(pieces: Iterable[Piece], limit: float) -> tuple[Piece, ...]:
    """Return the pieces that are longer than the limit."""
    return tuple(piece for piece in pieces if piece.length > limit + 0.001)


def is_short(made: float, expected: float) -> bool:
    """Say whether an output lost its end: ffmpeg exits 0 on an input that breaks off."""
    return expected - made > max(0.5, expected / 100)


def _overshooting(keyframes: Keyframes, duration: float, limit: float) -> Copy:
    enough = len(keyframes.clean) > 1
    cuts = nearest(keyframes.clean if enough else keyframes.every, duration, limit)
    lossy = () if enough else ("the source has open GOPs: a few frames are lost at the seams",)
    edges = (0.0, *cuts, duration)
    longest = max(after - before for before, after in itertools.pairwise(edges))
    long = (f"the longest piece is {longest:.1f} s, over the {limit:g} s asked for",)
    warnings = (long if longest > limit else ()) + lossy
    return Copy(cuts, marks(cuts, keyframes.every), warnings)
