"""A rehearsal for ``doctor``: ffmpeg as a job would start it, asked only what it can do."""

import asyncio
import contextlib
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from consumers.errors import WorkError
from workers.media.tools import binaries, confinement, tool

PATIENCE = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class _Stage:
    """The context of a job that is none."""

    folder: Path
    media: Path
    options: dict[str, object] = field(default_factory=dict)
    cpu: float = 0.0
    deadline: float = field(default_factory=lambda: time.monotonic() + PATIENCE)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def progress(self, percent: float, note: str = "") -> None:
        """Say nothing."""

    def log(self, message: str) -> None:
        """Say nothing."""


def main() -> None:
    """Print how tools are confined, and what ffmpeg, if there is one, says of its encoders."""
    sys.stdout.write(f"{confinement.describe()}\n")
    with contextlib.suppress(WorkError):
        ffmpeg = binaries.find().ffmpeg
        sys.stdout.write("\n".join(asyncio.run(_encoders(ffmpeg))))


async def _encoders(ffmpeg: str) -> list[str]:
    lines: list[str] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        command = (ffmpeg, "-hide_banner", "-encoders")
        finished = await tool.run(tool.Call(command), _Stage(folder, folder), lines.append)
    if finished.code != 0:
        sys.exit(f"ffmpeg cannot be run confined: {finished.complaint.strip()[-200:]}")
    return lines
