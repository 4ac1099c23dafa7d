"""The room a preview is made in: the film, the programs, the folders, and how a step is run."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers.media.faults import from_ffmpeg, lacked_room
from workers.media.files.probe import Video
from workers.media.files.workspace import Places
from workers.media.previews import samples
from workers.media.previews.preview_commands import Picture
from workers.media.previews.samples import Size
from workers.media.tools import tool
from workers.media.tools.binaries import Binaries
from workers.processor import JobContext, ResultFile

# What another way of asking ffmpeg may mend; a full disk or a cancelled job it cannot.
MENDABLE = frozenset({"ffmpeg_failed", "not_media", "no_streams"})


@dataclass(frozen=True, slots=True)
class Studio:
    """One job's film at work; what is not to be published lies in ``places.stage``."""

    path: Path
    video: Video
    tools: Binaries
    context: JobContext
    places: Places
    container: str = ""  # ffprobe's names of the film's

    @property
    def picture(self) -> Picture:
        """The picture, as commands name it."""
        return Picture(self.path, self.video.index, self.video.codec, self.container)

    def size(self, tallest: int) -> Size:
        """Return the picture's size when it may be so many pixels high."""
        return samples.fit(self.video.width, self.video.height, tallest)

    async def run(self, command: tuple[str, ...], doing: str) -> tuple[str, ...]:
        """Run a step in the stage folder and return the lines it wrote.

        Raises:
            WorkError: sorted by what it said, when its exit code is not 0.
        """
        return await run(tool.Call(command, folder=self.places.stage), self.context, doing)

    async def publish(self, made: str, name: str, **facts: int | float | str | None) -> ResultFile:
        """Move a file made in the stage folder to where it will be published from."""
        return await asyncio.to_thread(self._moved, made, name, facts)

    def _moved(
        self, made: str, name: str, facts: dict[str, int | float | str | None]
    ) -> ResultFile:
        path = (self.places.stage / made).rename(self.places.out / name)
        return ResultFile(path=str(path), size=path.stat().st_size, **facts)  # type: ignore[arg-type] # each by its name


async def run(call: tool.Call, context: JobContext, doing: str) -> tuple[str, ...]:
    """Run a tool and return the lines it wrote.

    Raises:
        WorkError: sorted by what it said, when its exit code is not 0.
    """
    lines: list[str] = []
    hear: Callable[[str], None] = lines.append
    finished = await tool.run(call, context, hear)
    # ffmpeg may end well although its last bytes found no room.
    if finished.code != 0 or lacked_room(finished.complaint):
        raise from_ffmpeg(doing, finished.code, finished.complaint)
    return tuple(lines)
