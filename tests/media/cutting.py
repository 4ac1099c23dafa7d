"""Cutting a clip and reading the pieces, for the tests of the cutter."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from consumers.errors import WorkError
from tests.support import clip_reader
from tests.support.clip_reader import Account, Reading
from tests.support.clips import Clip, place
from tests.support.contexts import FakeContext
from workers import cutter
from workers.processor import Job, Result


@dataclass(frozen=True)
class Cutting:
    """The pieces of one job, read."""

    result: Result
    source: Reading
    pieces: tuple[Reading, ...]

    @property
    def account(self) -> Account:
        """What the pieces lack of the source, and what they have too much."""
        return clip_reader.account(self.pieces, self.source.numbers)

    @property
    def spans(self) -> list[tuple[float | None, float | None]]:
        """What the result says of where the pieces come from."""
        return [(file.start, file.end) for file in self.result.files]

    @property
    def numbers(self) -> list[tuple[int | None, int | None]]:
        """The first and last frame of each piece with a picture."""
        return [(piece.numbers[0], piece.numbers[-1]) for piece in self.pieces if piece.frames]

    def longest(self) -> float:
        """The most that any piece lasts, by its container or by its picture."""
        return max(max(piece.duration, piece.video_duration) for piece in self.pieces)

    def worst_lag(self, track: int = 0) -> float:
        """The most by which sound and picture part, over the pieces that can be heard."""
        heard = [piece for piece in self.pieces if piece.frames and piece.pips[track]]
        return max(abs(clip_reader.lag(piece, self.source, track)) for piece in heard)


def job(path: Path | str, identity: str = "1", **data: object) -> Job:
    return Job(
        id=identity, queue="cutter_queue", data={"filePath": str(path), **data}, sender="user1"
    )


async def cut(asked: Clip, context: FakeContext, **data: object) -> Cutting:
    path = place(asked, context.media)
    asked_for = Job(id="1", queue="cutter_queue", data={"filePath": path.name, **data})
    result = await cutter.handle(asked_for, context)
    pieces = clip_reader.read_all([Path(file.path) for file in result.files])
    return Cutting(result, clip_reader.read(path), pieces)


async def failed(asked: Job, context: FakeContext) -> WorkError:
    with pytest.raises(WorkError) as caught:
        await cutter.handle(asked, context)
    return caught.value
