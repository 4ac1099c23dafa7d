"""Processors that make files of files, for chains: a film, its pieces, a picture of each.

Each does first what its body says (``processors.py``), and notes its runs there.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.support import processors
from workers.processor import Job, JobContext, Reject, Result, ResultFile

GLUE = "mended"  # the gate that must be open for what is spoiled


async def fetch(job: Job, context: JobContext) -> Result:
    """Make one film, called as the body says; or as many as it says."""
    await processors.handle(job, context)
    count = int(str(job.data.get("films", 1)))
    return _made(context.media, [f"{job.data['name']}{'+' * more}.mp4" for more in range(count)])


async def cut(job: Job, context: JobContext) -> Result:
    """Make so many pieces of a film."""
    await processors.handle(job, context)
    film = Path(str(job.data["filePath"])).stem
    count = int(str(job.data.get("pieces", 3)))
    return _made(context.media, [f"{film}-{number}.mp4" for number in range(count)])


async def picture(job: Job, context: JobContext) -> Result:
    """Make a picture of a piece; of one that is said to be spoiled only once it is mended."""
    await processors.handle(job, context)
    piece = Path(str(job.data["filePath"])).stem
    if piece == job.data.get("spoiled") and not (context.media / f"gate-{GLUE}").exists():
        why = f"{piece} is spoiled"
        raise Reject(why, code="spoiled", hint="mend it")
    return _made(context.media, [f"{piece}.jpg"])


def _made(folder: Path, names: Sequence[str]) -> Result:
    for name in names:
        (folder / name).write_bytes(b"x")
    return Result(files=tuple(ResultFile(str(folder / name), 1) for name in names))
