"""What a preview of a film takes, part by part, and whether the clip is what was promised."""

import asyncio
import itertools
import shutil
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.media import measure
from tests.support.contexts import FakeContext

from workers import preview as processor
from workers.processor import Job, Result

# The word of progress that a part begins with; the clip is the first.
PARTS = {"poster": "choosing a poster", "sprite": "laying out pictures"}
WANTED = {"poster": True, "sprite": True}
LONGEST, TALLEST = 10.0, 480  # seconds and pixels of a clip
PATIENCE = 600.0  # seconds


@dataclass(frozen=True, slots=True)
class Shown:
    """The seconds of each part, and what is so of the clip."""

    seconds: Mapping[str, float]
    facts: Mapping[str, bool]


@dataclass
class Watched(FakeContext):
    """A job context that remembers when each part began."""

    begun: dict[str, float] = field(default_factory=dict)

    def progress(self, percent: float, note: str = "") -> None:
        """Note the moment of the first word on a part."""
        for part, word in PARTS.items():
            if word == note:
                self.begun.setdefault(part, time.monotonic())
        super().progress(percent, note)


def preview(path: Path, folder: Path, rounds: int) -> Shown:
    """Preview a film as a worker does, on a new job each time."""
    taken: dict[str, list[float]] = {}
    result = Result()
    for number in range(rounds):
        shutil.rmtree(folder, ignore_errors=True)
        result, seconds = _once(path, folder, number)
        for part, length in seconds.items():
            taken.setdefault(part, []).append(length)
    medians = {part: statistics.median(lengths) for part, lengths in taken.items()}
    return Shown(medians, _facts(Path(result.files[0].path)))


def _once(path: Path, folder: Path, number: int) -> tuple[Result, dict[str, float]]:
    folder.mkdir()
    source = folder / path.name  # a job's file lies in the media folder
    source.hardlink_to(path)
    job = Job(id=str(number), queue="bench", data={"filePath": str(source), **WANTED})
    begun = time.monotonic()
    context = Watched(media=folder, deadline=begun + PATIENCE)
    result = asyncio.run(processor.handle(job, context))
    ended = time.monotonic()
    if missing := PARTS.keys() - context.begun.keys():
        sys.exit(f"the preview did not say when it began with {', '.join(sorted(missing))}")
    moments = [("clip", begun), *sorted(context.begun.items(), key=lambda item: item[1])]
    edges = itertools.pairwise([*moments, ("", ended)])
    seconds = {part: after - at for (part, at), (_, after) in edges}
    return result, {**seconds, "all": ended - begun}


def _facts(clip: Path) -> dict[str, bool]:
    described = measure.described(clip)
    film = described["streams"][0]
    boxes = measure.top_level_boxes(clip)
    return {
        f"at most {LONGEST:g} s long": float(described["format"]["duration"]) <= LONGEST,
        f"at most {TALLEST} pixels high": film["height"] <= TALLEST,
        "plays everywhere (yuv420p)": film["pix_fmt"] == "yuv420p",
        "starts before it is loaded": boxes.index("moov") < boxes.index("mdat"),
    }
