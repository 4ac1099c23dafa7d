"""Reading a stream's packet list, without decoding: its keyframes and where it ends."""

import itertools
import math
from array import array
from collections.abc import Sequence
from pathlib import Path

from workers.media.faults import from_ffmpeg
from workers.media.files.film import Film, Keyframes, Load
from workers.media.tools import ffmpeg, tool
from workers.media.tools.binaries import Binaries
from workers.processor import JobContext

_SAID_OF_AN_END = ("partial file", "File ended prematurely")  # of mp4, of Matroska


class Scan:
    """The packets of one stream seen so far, in the order of the file.

    An hour of video has a hundred thousand packets: their times and sizes are kept in arrays.
    """

    def __init__(self, origin: float = 0.0, stream: int | None = None) -> None:
        self._origin = origin  # the file's start time: ffmpeg counts from there
        self._stream = stream  # whose packets these are; of others only the weight is kept
        self._every: list[float] = []
        self._open: set[float] = set()
        self._frames = array("d")
        self._weighed = array("d")
        self._weights = array("d")
        self._beside = 0.0  # bytes of other streams
        self.end = 0.0

    def read(self, line: str) -> None:
        """Take one line ``stream,pts,dts,duration,size,flags`` as ffprobe prints it."""
        fields = line.split(",")
        if len(fields) < 6:
            return
        at = _seconds(fields[1], _seconds(fields[2], None))
        if at is None:
            return
        at -= self._origin
        self._weighed.append(at)
        self._weights.append(_seconds(fields[4], 0.0) or 0.0)
        if self._stream is None or fields[0] == str(self._stream):
            self._see(at, _seconds(fields[3], 0.0) or 0.0, key="K" in fields[5])
        else:
            self._beside += self._weights[-1]

    def fill(self, moments: Sequence[float], weights: Sequence[int], keys: Sequence[int]) -> None:
        """Take all packets of a stream at once: the seconds and the bytes of each.

        ``keys`` says which of them are keyframes, counted from 0, in order. How long the last one
        lasts is not told: the end is where it begins.
        """
        shown = array("d", (at - self._origin for at in moments))
        self._weighed.extend(shown)
        self._weights.extend(array("d", weights))
        self._frames.extend(shown)
        self.end = max(shown)
        self._every += [shown[key] for key in keys]
        for key, after in itertools.pairwise([*keys, len(shown)]):
            if min(shown[key:after]) < shown[key]:
                self._open.add(shown[key])

    def keyframes(self) -> Keyframes:
        """Return the keyframes, and those of them that lose nothing when cut at."""
        every = tuple(sorted(self._every))
        return Keyframes(clean=tuple(at for at in every if at not in self._open), every=every)

    def film(self, duration: float) -> Film:
        """Return what a plan needs to know of it all; frames without a keyframe before are lost."""
        keyframes = self.keyframes()
        first = keyframes.every[0] if keyframes.every else 0.0
        frames = array("d", sorted(at for at in self._frames if at >= first))
        return Film(duration, keyframes, frames, self._load(), self._beside)

    def _load(self) -> Load:
        order = sorted(range(len(self._weighed)), key=self._weighed.__getitem__)
        moments = array("d", (self._weighed[at] for at in order))
        before = array("d", itertools.accumulate((self._weights[at] for at in order), initial=0.0))
        moments.append(math.inf)
        return Load(moments, before)

    def _see(self, at: float, length: float, *, key: bool) -> None:
        self.end = max(self.end, at + length)
        self._frames.append(at)
        if key:
            self._every.append(at)
        elif self._every and at < self._every[-1]:
            self._open.add(self._every[-1])  # shown before the keyframe it follows


async def scan(
    tools: Binaries, source: Path, stream: int, context: JobContext, *, origin: float = 0.0
) -> Scan:
    """Return what the packets of one stream tell.

    Raises:
        WorkError: when the file cannot be read.
    """
    return await _read(ffmpeg.packets(tools, source, stream), Scan(origin, stream), context)


async def last(
    tools: Binaries, source: Path, stream: int, context: JobContext, *, since: float
) -> Scan:
    """Return what the packets of one stream tell from the keyframe before a moment on.

    Raises:
        WorkError: when the file cannot be read, or nothing be looked for in it.
    """
    return await _read(ffmpeg.packets(tools, source, stream, since=since), Scan(), context)


async def weigh(
    tools: Binaries, source: Path, stream: int, context: JobContext, *, origin: float = 0.0
) -> Scan:
    """Return what the packets of one stream tell, with the weight of all other streams.

    Raises:
        WorkError: when the file cannot be read.
    """
    return await _read(ffmpeg.packets(tools, source), Scan(origin, stream), context)


async def is_cut_off(tools: Binaries, source: Path, context: JobContext) -> bool:
    """Answer whether a file lacks bytes that its own index tells of.

    Raises:
        WorkError: when the file cannot be read.
    """
    finished = await tool.run(tool.Call(ffmpeg.packets(tools, source)), context, lambda _line: None)
    if finished.code != 0:
        raise from_ffmpeg("reading packets", finished.code, finished.complaint)
    return any(said in finished.complaint for said in _SAID_OF_AN_END)


async def _read(command: tuple[str, ...], seen: Scan, context: JobContext) -> Scan:
    finished = await tool.run(tool.Call(command), context, seen.read)
    if finished.code != 0:
        raise from_ffmpeg("reading packets", finished.code, finished.complaint)
    return seen


def _seconds(text: str, otherwise: float | None) -> float | None:
    return otherwise if text in {"N/A", ""} else float(text)
