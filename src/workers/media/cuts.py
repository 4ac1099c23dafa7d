"""What cutting is told in: keyframes, the weight of a film, plans and pieces.

Pure. A keyframe is *clean* when no packet after it in the file is shown before it. Cutting at any
other keyframe (an open GOP) loses the frames that needed the piece before.
"""

import csv
import itertools
import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from workers.media.spans import SAME, Span

MOST_PIECES = 1000
STILL = 0.5  # seconds that a picture may stand still before it is shown again
LONG = 1.0  # seconds of standing still in which it is shown again up to the end
HALF = 0.5  # of a tick
SLOWEST, QUICKEST = 10, 60  # frames a second, where frames are repeated


@dataclass(frozen=True, slots=True)
class Keyframes:
    """The seconds of the keyframes, in order, the clean ones apart."""

    clean: Sequence[float]
    every: Sequence[float]

    def after(self, first: float) -> "Keyframes":
        """Return those that come after a moment."""
        kinds = (self.clean, self.every)
        return Keyframes(*(kind[bisect_right(kind, first + SAME) :] for kind in kinds))


@dataclass(frozen=True, slots=True)
class Load:
    """The bytes of a film over its time: a moment, and all bytes before it; both rise."""

    moments: Sequence[float] = ()
    before: Sequence[float] = ()

    @classmethod
    def even(cls, duration: float, size: float) -> "Load":
        """Return the load of a film whose bytes are spread evenly."""
        steps = 1000
        return cls(
            tuple(duration * step / steps for step in range(steps + 1)),
            tuple(size * step / steps for step in range(steps + 1)),
        )

    def of(self, span: Span) -> float:
        """Return the bytes of a span."""
        return self._until(span.end) - self._until(span.start)

    def farthest(self, start: float, budget: float) -> float:
        """Return the last moment up to which a piece from start on is within a budget of bytes."""
        place = bisect_right(self.before, self._until(start) + budget) - 1
        return self.moments[place] if place >= 0 else start

    def _until(self, moment: float) -> float:
        place = bisect_left(self.moments, moment - SAME)
        return self.before[place] if place < len(self.before) else self.total

    @property
    def total(self) -> float:
        """All bytes there are."""
        return self.before[-1] if self.before else 0.0


@dataclass(frozen=True, slots=True)
class Film:
    """What the packets of a file tell a plan; for sound alone, its packets stand for frames."""

    duration: float
    keyframes: Keyframes
    frames: Sequence[float] = ()  # the seconds at which frames are shown, in order
    load: Load = field(default_factory=Load)
    sound: float = 0.0  # bytes of what is not the picture
    has_picture: bool = True

    @property
    def whole(self) -> Span:
        """All of it."""
        return Span(0.0, self.duration)

    @property
    def first_frame(self) -> float:
        """The second of the first frame: no picture can be cut there or before."""
        return self.frames[0] if self.frames else 0.0

    @property
    def last_frame(self) -> float:
        """The second of the last frame: sound may go on after it."""
        return self.frames[-1] if self.frames else self.duration

    def frames_of(self, span: Span) -> int:
        """Return how many frames a span holds."""
        start = bisect_left(self.frames, span.start - SAME)
        return bisect_left(self.frames, span.end - SAME) - start

    def stands_still_at(self, moment: float) -> bool:
        """Say whether no frame begins for long from a moment on, or none has begun before it."""
        if not SAME < moment < self.last_frame:
            return False
        if moment <= self.first_frame + SAME:
            return True
        place = bisect_left(self.frames, moment - SAME)
        follows, before = self.frames[place], self.frames[place - 1]
        is_within = follows > moment + SAME and follows > before + LONG
        return follows > moment + STILL or is_within

    @property
    def pace(self) -> int:
        """Frames a second that are enough to show every frame."""
        gaps = (after - before for before, after in itertools.pairwise(self.frames))
        quickest = min((gap for gap in gaps if gap > SAME), default=1 / SLOWEST)
        return min(QUICKEST, max(SLOWEST, round(1 / quickest)))

    def stills(self, moments: Sequence[float]) -> tuple[range, ...]:
        """Return what is to be shown again for there to be frames at these moments.

        That is the turns of a clock of ``pace`` ticks a second while the picture stands still.
        """
        found = {self._still(moment) for moment in moments if self.stands_still_at(moment)}
        return tuple(sorted((still for still in found if still), key=lambda still: still.start))

    def _still(self, moment: float) -> range:
        place = bisect_left(self.frames, moment - SAME)
        if moment <= self.first_frame + SAME:
            return range(max(1, math.ceil(self.first_frame * self.pace - HALF)))
        before, after = self.frames[place - 1], self.frames[place]
        first = math.floor(before * self.pace + HALF) + 1
        return range(first, math.ceil(after * self.pace - HALF))

    def steadied(self, stills: Sequence[range]) -> "Film":
        """Return the film as it is when frames that stand for long are repeated."""
        pace = self.pace
        again = (turn / pace for still in stills for turn in still)
        return replace(self, frames=array("d", sorted(itertools.chain(self.frames, again))))


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
