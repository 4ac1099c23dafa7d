"""Whether a stream that came in segments runs through: none is missing, none comes twice.

A segment that is empty or the wrong one leaves a file that opens well and is as long as it should
be. What it lacks shows in the times of the packets.
"""

import statistics
from array import array
from dataclasses import dataclass, field
from itertools import pairwise

from workers.media.faults import fault, from_ffmpeg
from workers.media.files.probe import Media
from workers.media.tools import ffmpeg, tool
from workers.media.tools.binaries import Binaries
from workers.processor import JobContext

GAP = 0.5  # seconds between two packets beyond what is usual in their stream
USUAL = 2  # times the usual distance is no gap, in a show of slides either
SAMPLE = 5000  # packets that tell what is usual
REORDERED = 16  # frames that may be stored after one they are shown before


@dataclass(slots=True)
class Course:
    """The times of one stream's packets, in the order of the file.

    A picture may stand still. Where a segment is missing, though, the next one begins with a
    keyframe; so of pictures only a gap before one counts.
    """

    is_picture: bool
    times: "array[float]" = field(default_factory=lambda: array("d"))
    keys: set[float] = field(default_factory=set)

    def see(self, at: float, *, key: bool) -> None:
        """Take the next packet."""
        self.times.append(at)
        if key:
            self.keys.add(at)

    def flaw(self) -> str:
        """Return what is wrong with the course, in words; empty for nothing."""
        shown = sorted(self.times)
        steps = [after - at for at, after in pairwise(shown[:SAMPLE])]
        usual = statistics.median(steps) if steps else 0.0
        return self._jump(usual) or self._gap(shown, usual)

    def _jump(self, usual: float) -> str:
        latest = float("-inf")
        for at in self.times:
            if at < latest - GAP - REORDERED * usual:
                return f"goes back from {latest:.1f} to {at:.1f} s"
            latest = max(latest, at)
        return ""

    def _gap(self, shown: list[float], usual: float) -> str:
        for at, after in pairwise(shown):
            counts = not self.is_picture or after in self.keys
            if counts and after - at > GAP + USUAL * usual:
                return f"has nothing between {at:.1f} and {after:.1f} s"
        return ""


async def require(media: Media, tools: Binaries, context: JobContext) -> None:
    """Return when picture and sound run through.

    Raises:
        TransientError: ``incomplete`` when they do not.
    """
    courses = {str(sound.index): Course(is_picture=False) for sound in media.sounds[:1]}
    if media.video is not None:
        courses[str(media.video.index)] = Course(is_picture=True)

    def take(line: str) -> None:
        stream, at, key = _read(line)
        if stream in courses and at is not None:
            courses[stream].see(at, key=key)

    finished = await tool.run(tool.Call(ffmpeg.packets(tools, media.path)), context, take)
    if finished.code != 0:
        raise from_ffmpeg("reading packets", finished.code, finished.complaint)
    for flaw in filter(None, (course.flaw() for course in courses.values())):
        raise fault("incomplete", f"{media.path.name} {flaw}: a segment is missing or wrong")


def _read(line: str) -> tuple[str, float | None, bool]:
    stream, pts, dts, *_, flags = (*line.split(","), "", "", "")[:6] if line else ("",) * 6
    at = next((text for text in (pts, dts) if text not in {"N/A", ""}), None)
    return stream, None if at is None else float(at), "K" in flags
