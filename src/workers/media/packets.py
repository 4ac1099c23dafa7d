"""Reading a stream's packet list, without decoding: its keyframes and where it ends."""

from pathlib import Path

from workers.media import ffmpeg, tool
from workers.media.binaries import Binaries
from workers.media.cuts import Keyframes
from workers.media.faults import from_ffmpeg
from workers.processor import JobContext


class Scan:
    """The packets of one stream seen so far, in the order of the file.

    Only keyframes are kept: an hour of video has a hundred thousand packets.
    """

    def __init__(self, origin: float = 0.0) -> None:
        self._origin = origin  # the file's start time: ffmpeg counts from there
        self._every: list[float] = []
        self._open: set[float] = set()
        self.end = 0.0

    def read(self, line: str) -> None:
        """Take one line ``pts,dts,duration,flags`` as ffprobe prints it."""
        fields = line.split(",")
        if len(fields) < 4:
            return
        at = _seconds(fields[0], _seconds(fields[1], None))
        if at is not None:
            self._see(at - self._origin, _seconds(fields[2], 0.0) or 0.0, key="K" in fields[3])

    def keyframes(self) -> Keyframes:
        """Return the keyframes, and those of them that lose nothing when cut at."""
        every = tuple(sorted(self._every))
        return Keyframes(clean=tuple(at for at in every if at not in self._open), every=every)

    def _see(self, at: float, length: float, *, key: bool) -> None:
        self.end = max(self.end, at + length)
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
    seen = Scan(origin)
    call = tool.Call(ffmpeg.packets(tools, source, stream))
    finished = await tool.run(call, context, seen.read)
    if finished.code != 0:
        raise from_ffmpeg("reading packets", finished.code, finished.complaint)
    return seen


def _seconds(text: str, otherwise: float | None) -> float | None:
    return otherwise if text in {"N/A", ""} else float(text)
