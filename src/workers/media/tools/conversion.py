"""One run of ffmpeg as part of a job: its progress in per cent, its failure sorted."""

from collections.abc import Callable
from dataclasses import dataclass

from workers.media.faults import from_ffmpeg, lacked_room
from workers.media.tools import tool
from workers.processor import JobContext


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a job's progress that one run covers, and what to call it."""

    duration: float  # seconds of output that make up the whole
    first: float = 0.0  # per cent
    last: float = 100.0
    note: str = ""


async def convert(
    call: tool.Call,
    context: JobContext,
    share: Share,
    on_line: Callable[[str], None] = tool.unheard,
) -> str:
    """Run ffmpeg, report its progress, and return what it complained of.

    Each other line of its output is given away.

    Raises:
        WorkError: sorted by what it said, when its exit code is not 0.
    """

    def hear(line: str) -> None:
        done = out_time(line)
        if done is None:
            on_line(line)
        else:
            context.progress(percent(done, share), share.note)

    finished = await tool.run(call, context, hear)
    # ffmpeg may end well although its last bytes found no room.
    if finished.code != 0 or lacked_room(finished.complaint):
        raise from_ffmpeg(share.note or "converting", finished.code, finished.complaint)
    return finished.complaint


def out_time(line: str) -> float | None:
    """Return the seconds written so far from a line of ``-progress``, None for other lines.

    ``out_time_ms`` is microseconds too, by an old mistake; ``N/A`` and negative values occur.
    """
    key, _, value = line.strip().partition("=")
    if key != "out_time_us":
        return None
    return max(0.0, int(value) / 1e6) if value.lstrip("-").isdigit() else 0.0


def percent(done: float, share: Share) -> float:
    """Return the job's progress after ``done`` seconds of a run, within the run's share."""
    part = min(1.0, done / share.duration) if share.duration > 0 else 0.0
    return share.first + (share.last - share.first) * part
