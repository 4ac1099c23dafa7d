"""What the packets of a film tell: its keyframes, its frames, and its weight over time.

Pure. A keyframe is *clean* when no packet after it in the file is shown before it. Cutting at any
other keyframe (an open GOP) loses the frames that needed the piece before.
"""

import itertools
import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from workers.media.files.spans import SAME, Span

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

    @property
    def last_gap(self) -> float:
        """Seconds from the last frame but one to the last: about as long as the last one stands."""
        return self.frames[-1] - self.frames[-2] if len(self.frames) > 1 else 0.0

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
