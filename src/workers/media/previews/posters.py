"""Where to look for a poster, and whether what was found shows anything.

Pure. Moments are seconds from the beginning of the file, as ffmpeg's ``-ss`` counts them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 720
DARK, FLAT = 24.0, 10.0  # luma: a mean up to here is black; a spread up to here shows nothing


@dataclass(frozen=True, slots=True)
class Look:
    """A way to take a picture: the most typical of ``frames`` from a moment on.

    Without ``frames`` it is the first that is not dark, of all.
    """

    at: float
    keyframes: bool
    frames: int
    name: str


@dataclass(frozen=True, slots=True)
class Luma:
    """How bright a picture is: mean and spread (90th less 10th percentile), 0 to 255."""

    mean: float
    spread: float

    @property
    def shows_something(self) -> bool:
        """Say whether a person would see anything."""
        return self.mean > DARK and self.spread > FLAT

    @property
    def worth(self) -> tuple[bool, bool, float]:
        """Order pictures by what a person would rather see."""
        return self.shows_something, self.mean > DARK, self.mean


def looks(start: float, duration: float) -> tuple[Look, ...]:
    """Return where to look: keyframes first, which cost least, then any frame, then all there are.

    A film with a picture that is not black gets one that is not black.
    """
    places = [(start + duration * share, True, 10) for share in (0.10, 0.25, 0.50, 0.75)]
    places += [(start + duration * share, False, 5) for share in (0.25, 0.50, 0.75, 0.0)]
    places += [(0.0, True, 0), (0.0, False, 0)]
    return tuple(
        Look(at, keyframes, frames, f"poster-{number}.jpg")
        for number, (at, keyframes, frames) in enumerate(places)
    )


def luma(report: Sequence[str]) -> Luma | None:
    """Return what ``signalstats`` wrote of a picture, or None when there was no picture."""
    found = dict(re.findall(r"signalstats\.(YAVG|YLOW|YHIGH)=([\d.]+)", "\n".join(report)))
    if not {"YAVG", "YLOW", "YHIGH"} <= found.keys():
        return None
    return Luma(float(found["YAVG"]), float(found["YHIGH"]) - float(found["YLOW"]))
