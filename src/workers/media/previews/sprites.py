"""A sheet of small pictures of a film, and the WebVTT that says when each was shown.

Pure. A tile stands for the time from its own frame until that of the next, so that what a player
shows beside its slider is what is there, however unevenly the keyframes lie.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from workers.media.previews import samples
from workers.media.previews.samples import Size
from workers.media.previews.wishes import Grid

SHORT = 30.0  # seconds of film that are decoded at once
MIDDLING = 120.0  # seconds of film that are decoded rather than go without some tiles
FEWEST = 0.5  # of the tiles asked for: with less, a longer film is decoded after all
TALLEST = 2  # times as high as wide a tile may be

_TIMED = re.compile(r"pts_time:(-?[\d.]+)")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Tiles of one size in rows; ``step`` seconds of film for each."""

    columns: int
    rows: int
    tile: Size
    step: float
    start: float  # of the picture, in seconds of the file

    @property
    def tiles(self) -> int:
        """How many there is room for."""
        return self.columns * self.rows


def plan(size: tuple[int, int], start: float, duration: float, grid: Grid) -> Sheet:
    """Return the sheet for a film of that size, begin and duration."""
    tile = samples.fit(*size, tallest=grid.width * TALLEST, widest=grid.width)
    step = max(duration, 0.001) / (grid.columns * grid.rows)
    return Sheet(grid.columns, grid.rows, tile, step, start)


def by_keyframes(duration: float) -> bool:
    """Say whether to try with keyframes alone, which costs the same for a film of any length."""
    return duration > SHORT


def suffices(found: int, sheet: Sheet, duration: float) -> bool:
    """Say whether the keyframes filled enough of the tiles."""
    return found >= sheet.tiles * (1.0 if duration <= MIDDLING else FEWEST)


def shrunk(sheet: Sheet, tiles: int) -> tuple[int, int]:
    """Return the columns and rows that so many tiles need."""
    columns = min(sheet.columns, tiles)
    return columns, math.ceil(tiles / columns)


def picked(sheet: Sheet, moment: str) -> str:
    """Return the expression that is 1 for the first frame from each step on, else 0.

    Register 0 counts the steps that have their frame. ``moment`` is the frame's time in seconds,
    in the words of the filter that evaluates it.
    """
    since = f"({moment}-{sheet.start:.6f}+0.0005)"
    return f"if(gte({since},ld(0)*{sheet.step:.6f}),1+0*st(0,floor({since}/{sheet.step:.6f})+1),0)"


def times_of_packets(report: Sequence[str]) -> tuple[float, ...]:
    """Return the seconds of the packets that the ``framecrc`` format lists."""
    clock, times = 1.0, []
    for line in report:
        if line.startswith("#tb 0:"):
            above, _, below = line.removeprefix("#tb 0:").strip().partition("/")
            clock = int(above) / int(below)
        elif not line.startswith("#") and line.count(",") >= 5:
            times.append(int(line.split(",")[2]) * clock)
    return tuple(times)


def times_of_frames(report: Sequence[str]) -> tuple[float, ...]:
    """Return the seconds of the frames that the ``metadata`` filter lists."""
    return tuple(float(found) for line in report for found in _TIMED.findall(line))


def vtt(times: Sequence[float], columns: int, tile: Size, end: float, image: str) -> str:
    """Return the WebVTT: each tile's time in the film and its place in the image."""
    edges = [0.0, *times[1:], max(end, times[-1] + 0.001)]
    cues = [
        f"{_clock(start)} --> {_clock(until)}\n{image}#xywh={_place(number, columns, tile)}\n"
        for number, (start, until) in enumerate(pairwise(edges))
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _place(number: int, columns: int, tile: Size) -> str:
    row, column = divmod(number, columns)
    return f"{column * tile.width},{row * tile.height},{tile.width},{tile.height}"


def _clock(seconds: float) -> str:
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
