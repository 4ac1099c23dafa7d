"""What a preview shows of a film: which moments, how large, and whether a poster is worth it.

Pure. Moments are seconds from the beginning of the file, as ffmpeg's ``-ss`` counts them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SHORT = 10.0  # seconds; a film this long or shorter is shown whole
COUNT, LENGTH = 5, 1.5  # samples of a longer one, and seconds of each
SPACED = 60.0  # seconds from which two samples cannot begin at one keyframe in usual video
CLIP_HEIGHT, POSTER_HEIGHT = 480, 720
DARK, FLAT = 24.0, 10.0  # luma: a mean up to here is black; a spread up to here shows nothing


@dataclass(frozen=True, slots=True)
class Sample:
    """A stretch of the film; ``fast`` starts at the keyframe before it and spares decoding."""

    at: float
    length: float
    fast: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """A place to take a poster from: the most typical of ``frames`` from there on."""

    at: float
    keyframes: bool
    frames: int
    name: str


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels, both even."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Luma:
    """How bright a picture is: mean and spread (90th less 10th percentile), 0 to 255."""

    mean: float
    spread: float

    @property
    def shows_something(self) -> bool:
        """Say whether a person would see anything."""
        return self.mean > DARK and self.spread > FLAT


def clips(start: float, duration: float) -> tuple[tuple[Sample, ...], ...]:
    """Return ways to sample the picture, the quickest first; a later one serves if it fails.

    Args:
        start: where the picture begins, in seconds of the file.
        duration: of the picture, not of the sound, which may be longer.
    """
    whole = (Sample(max(start, 0.0), min(duration, SHORT) if duration > 0 else SHORT),)
    if duration <= SHORT:
        return (whole, (Sample(0.0, SHORT),))
    room = duration - LENGTH
    moments = [start + room * (index + 0.5) / COUNT for index in range(COUNT)]
    quick = tuple(Sample(at, LENGTH, fast=True) for at in moments)
    slow = tuple(Sample(at, LENGTH) for at in moments)
    beginning = (Sample(0.0, COUNT * LENGTH),)
    return (quick, slow, beginning) if duration >= SPACED else (slow, beginning)


def looks(start: float, duration: float) -> tuple[Look, ...]:
    """Return where to look for a poster: keyframes first, which cost least, then any frame."""
    places = [(share, True, 10) for share in (0.10, 0.25, 0.50, 0.75)]
    places += [(share, False, 5) for share in (0.25, 0.50, 0.75, 0.0)]
    return tuple(
        Look(start + duration * share, keyframes, frames, f"poster-{number}.jpg")
        for number, (share, keyframes, frames) in enumerate(places)
    )


def fit(width: int, height: int, tallest: int) -> Size:
    """Return the size at most ``tallest`` high that keeps the shape, never larger than it was."""
    scale = min(1.0, tallest / height)
    return Size(_even(width * scale), _even(height * scale))


def luma(report: Sequence[str]) -> Luma | None:
    """Return what ``signalstats`` wrote of a picture, or None when there was no picture."""
    found = dict(re.findall(r"signalstats\.(YAVG|YLOW|YHIGH)=([\d.]+)", "\n".join(report)))
    if not {"YAVG", "YLOW", "YHIGH"} <= found.keys():
        return None
    return Luma(float(found["YAVG"]), float(found["YHIGH"]) - float(found["YLOW"]))


def _even(pixels: float) -> int:
    return max(2, round(pixels / 2) * 2)
