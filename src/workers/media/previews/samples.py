"""Which moments of a film its clip shows, and how large.

Pure. Moments are seconds from the beginning of the file, as ffmpeg's ``-ss`` counts them.
"""

from dataclasses import dataclass, replace

RATE = 25  # frames a second of the clip
LONGEST = 10.0  # seconds of any clip
SPARE = 4 / 3  # a film that is not longer than the clip by more than this is shown whole
SPACED = 12.0  # seconds from one sample to the next that two keyframes surely lie within


@dataclass(frozen=True, slots=True)
class Sample:
    """A stretch of a film: so many frames of the clip, from that moment on.

    With ``reach`` it may begin that much earlier, which spares decoding up to the moment.
    """

    at: float
    frames: int
    reach: float = 0.0  # seconds

    @property
    def length(self) -> float:
        """Seconds."""
        return self.frames / RATE

    def exactly(self) -> "Sample":
        """Return the sample that begins at its moment, whatever that costs."""
        return replace(self, reach=0.0)


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels, both even."""

    width: int
    height: int


def choose(start: float, duration: float, seconds: float, count: int) -> tuple[Sample, ...]:
    """Return the samples that make a clip of so many seconds; none: show the film whole.

    Args:
        start: where the picture begins, in seconds of the file.
        duration: of the picture, not of the sound, which may be longer.
        seconds: of the clip.
        count: how many samples it is made of.
    """
    if duration <= min(LONGEST, seconds * SPARE):
        return ()
    whole = int(seconds * RATE)
    count = min(count, whole)
    frames, over = divmod(whole, count)
    room = duration - (frames + 1) / RATE
    spacing = room / count
    reach = spacing if spacing >= SPACED else 0.0
    return tuple(
        Sample(start + spacing * (index + 0.5), frames + (index < over), reach)
        for index in range(count)
    )


def beginning(seconds: float) -> Sample:
    """Return the one sample that needs no seeking."""
    return Sample(0.0, int(seconds * RATE))


def fit(width: int, height: int, tallest: int, widest: int | None = None) -> Size:
    """Return the size within these bounds that keeps the shape, never larger than it was."""
    scale = min(1.0, tallest / height, (widest or width) / width)
    return Size(_even(width * scale), _even(height * scale))


def _even(pixels: float) -> int:
    return max(2, round(pixels / 2) * 2)
