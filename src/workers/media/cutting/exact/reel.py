"""The packets of a film's picture: when each is shown, and where the stream can be divided.

Pure. A *seam* is a place in the stream where every packet before it is shown before every packet
after it: what ends there is whole without what follows. A keyframe is *clean* when it is at a seam
and shown first of all that follow: what begins there is whole without what went before.
"""

import itertools
import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from workers.media.files.spans import Span

# Asked times come rounded to a millionth; a frame this much before one still belongs to it.
ROUNDING = Fraction(1, 200_000)  # seconds


@dataclass(slots=True)
class Reel:
    """The packets of a film's picture in the order of the stream, in ticks of its clock.

    Read once with ``add``; packets before the first keyframe cannot be decoded and do not count.
    """

    tick: Fraction  # seconds, one part of a whole second
    step: int = 1  # ticks to each unit that the packets are told in
    origin: float = 0.0  # the timestamp the file begins with, in seconds
    pts: "array[int]" = field(default_factory=lambda: array("q"))
    leads: "array[int]" = field(default_factory=lambda: array("q"))
    keys: list[int] = field(default_factory=list)
    ends: int = 0
    is_timed: bool = True  # every packet says when it is shown
    hides: bool = False  # an edit list has some packets decoded and not shown

    def add(self, line: str) -> None:
        """Take one line ``pts,dts,duration,flags`` in ticks, as ffprobe prints it."""
        shown, decoded, lasts, flags = (*line.split(","), "", "", "", "")[:4]
        if "K" in flags:
            self.keys.append(len(self.pts))
        if not flags or not self.keys:
            return
        self.is_timed = self.is_timed and _is_number(shown)
        self.hides = self.hides or "D" in flags
        at = self._number(shown, self._number(decoded, 0))
        self.pts.append(at)
        self.leads.append(at - self._number(decoded, at))
        self.ends = max(self.ends, at + self._number(lasts, 0))

    def _number(self, text: str, otherwise: int) -> int:
        return int(text) * self.step if _is_number(text) else otherwise

    def decoded(self, packet: int) -> int:
        """Return when a packet is decoded."""
        return self.pts[packet] - self.leads[packet]

    def seconds(self, ticks: int) -> float:
        """Return a timestamp in seconds from the file's beginning."""
        return float(ticks * self.tick) - self.origin

    def ticks(self, second: float) -> int:
        """Return the first timestamp that is not before a second of the film."""
        moment = Fraction(second) + Fraction(self.origin)
        return math.ceil((moment - ROUNDING) / self.tick)


class Structure:
    """What follows from a film's packets: its frames as shown, its seams, its clean keyframes."""

    def __init__(self, reel: Reel) -> None:
        self._reel = reel
        self.shown = array("q", sorted(reel.pts))
        earliest = _earliest(reel.pts)
        self._is_seam = _seams(reel.pts, earliest)
        self.clean = [
            key for key in reel.keys if self._is_seam[key] and reel.pts[key] == earliest[key]
        ]

    @property
    def obstacle(self) -> str:
        """Why the film cannot be divided at its keyframes; empty when it can."""
        if not self._reel.is_timed:
            return "not every packet says when it is shown"
        if any(one == other for one, other in itertools.pairwise(self.shown)):
            return "two frames are shown at the same time"
        return "" if self.clean[:1] == [0] else "its first frames cannot be decoded"

    def last_seam(self, first: int, stop: int) -> int:
        """Return the last seam from one packet up to another."""
        return next(place for place in range(stop, first - 1, -1) if self.at_seam(place))

    def at_seam(self, packet: int) -> bool:
        """Say whether the stream may end before this packet, the end of the film included."""
        return packet == len(self._is_seam) or bool(self._is_seam[packet])

    def frames(self, span: Span) -> tuple[int, int]:
        """Return the first frame of a span and the one after its last, in the order shown."""
        start, end = self._reel.ticks(span.start), self._reel.ticks(span.end)
        return bisect_left(self.shown, start), bisect_left(self.shown, end)

    def ends(self, stop: int, span: Span) -> int:
        """Return when the frame before ``stop`` ends: with the next one, or with the span."""
        reel = self._reel
        following = self.shown[stop] if stop < len(self.shown) else self._last_ends()
        latest = math.floor((Fraction(span.end) + Fraction(reel.origin) + ROUNDING) / reel.tick)
        return max(min(following, latest), self.shown[stop - 1] + 1)

    def _last_ends(self) -> int:
        if self._reel.ends > self.shown[-1] or len(self.shown) < 2:
            return max(self._reel.ends, self.shown[-1] + 1)
        return 2 * self.shown[-1] - self.shown[-2]  # unknown: as long as the frame before


def _earliest(pts: Sequence[int]) -> "array[int]":
    """Return for each packet the earliest time shown from it on."""
    earliest = array("q", pts)
    for place in range(len(pts) - 2, -1, -1):
        earliest[place] = min(earliest[place], earliest[place + 1])
    return earliest


def _seams(pts: Sequence[int], earliest: Sequence[int]) -> bytearray:
    """Return for each packet whether all before it are shown before all from it on."""
    latest = itertools.accumulate(pts, max)
    return bytearray(
        (True, *(before < after for before, after in zip(latest, earliest[1:], strict=False)))
    )


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdigit()
