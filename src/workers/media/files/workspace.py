"""Where a job's files are made and published: ``work/<key>/`` and ``results/<key>/``.

Both lie below the media root, so that publishing is one rename: a result appears whole or not at
all. The manifest is written last; with it, a job that is delivered again is not done again.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from consumers.errors import HostError, RefusedError
from workers import holdings
from workers.holdings import MANIFEST, RESULTS, WORK
from workers.hours import DAY
from workers.media.faults import STORAGE, from_os_error
from workers.media.files import locks
from workers.processor import Job, JobContext, Result

ABANDONED = DAY  # seconds after which a stage folder that nobody holds is removed

Answer = TypeVar("Answer")


class Manifest(msgspec.Struct, frozen=True):
    """The record of a published result; its paths are relative to its own folder."""

    queue: str
    id: str
    result: Result
    version: int = 1
    wishes: str = ""  # what it was made by, where more than the job says decides that


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one job."""

    stage: Path  # private to the run; partial downloads stay here between attempts
    out: Path  # what will be published
    results: Path  # where it will be

    @classmethod
    def of(cls, job: Job, media: Path) -> "Places":
        """Return the folders that belong to a job."""
        key = job_key(job)
        stage = media / WORK / key
        return cls(stage=stage, out=stage / "out", results=media / RESULTS / key)


def job_key(job: Job) -> str:
    """Return the name of a job's folders, the same for every delivery of the job."""
    return holdings.key(job.queue, job.id)


async def once(
    job: Job,
    context: JobContext,
    work: Callable[[Places], Awaitable[Result]],
    *,
    resumable: bool = False,
    wishes: str = "",
) -> Result:
    """Return the job's result: the published one, or else the one ``work`` makes now.

    ``work`` leaves its files in ``places.out`` and names them by their paths there. With
    ``resumable`` the stage folder outlives a failure that another attempt may mend. The
    ``wishes`` are written down with the result.

    Raises:
        WorkError: from ``work``, and ``busy``.
        HostError: the media folder is full, cannot be written, or the like.
    """
    places = Places.of(job, context.media)
    async with _held(places, resumable=resumable):
        ready = await asyncio.to_thread(published, places)
        if ready is not None:
            context.log("this job was done before: its published result is returned")
            return ready
        with _translated("working below the media root"):
            result = await work(places)
        manifest = Manifest(queue=job.queue, id=job.id, result=result, wishes=wishes)
        return await _to_its_end(_publish, places, manifest)


def published(places: Places) -> Result | None:
    """Return the published result, if it is there and whole."""
    try:
        manifest = _manifest(places)
        sizes = [(places.results / file.path).stat().st_size for file in manifest.result.files]
    except (OSError, msgspec.DecodeError):
        return None
    if sizes != [file.size for file in manifest.result.files]:
        return None
    return _placed(manifest.result, places.results)


def made_by(places: Places) -> tuple[str, float]:
    """Return the wishes that a published result was made by, and when; nothing where none is."""
    try:
        return _manifest(places).wishes, (places.results / MANIFEST).stat().st_mtime
    except (OSError, msgspec.DecodeError):
        return "", 0.0


def sweep(work: Path, *, keep: float = ABANDONED) -> tuple[Path, ...]:
    """Remove stage folders older than ``keep`` seconds that no run holds; return them.

    So it goes with the locks that killed runs left. A file made now tells the time: the file
    system's clock may not be this machine's.
    """
    stamp = work / ".now"
    stamp.touch()
    now = stamp.stat().st_mtime
    old = [path for path in work.iterdir() if _age(path, now) > keep]
    swept = tuple(folder for folder in old if folder.is_dir() and _cleared(folder))
    for path in old:
        if path.suffix == locks.SUFFIX and (lock := locks.attempt(path)) is not None:
            locks.release(lock)
    return swept


@contextlib.asynccontextmanager
async def _held(places: Places, *, resumable: bool) -> AsyncIterator[None]:
    with _translated("preparing the media folder"):
        await asyncio.to_thread(_prepare, places)
    lock = await locks.acquire(_lock_path(places.stage))
    keep = False
    try:
        with _translated("preparing the work folder"):
            await _to_its_end(_stage, places, resumable)
        yield
    except RefusedError:
        raise
    except HostError as error:  # what filled the disk must not keep it full
        keep = resumable and error.code != "disk_full"
        raise
    except BaseException:  # whatever it was, it passes; only the stage folder's fate is decided
        keep = resumable
        raise
    finally:
        if not keep:
            await _to_its_end(_remove, places.stage)
        locks.release(lock)


def _prepare(places: Places) -> None:
    places.stage.parent.mkdir(parents=True, exist_ok=True)
    places.results.parent.mkdir(parents=True, exist_ok=True)
    sweep(places.stage.parent)


def _stage(places: Places, resumable: bool) -> None:  # noqa: FBT001 - travels through a thread
    _remove(places.out if resumable else places.stage)
    places.out.mkdir(parents=True)


def _publish(places: Places, manifest: Manifest) -> Result:
    """Make the files durable, then visible, in that order."""
    with _translated("publishing the result"):
        result = manifest.result
        own = tuple(
            msgspec.structs.replace(file, path=Path(file.path).name) for file in result.files
        )
        result = msgspec.structs.replace(result, files=own)
        manifest = msgspec.structs.replace(manifest, result=result)
        (places.out / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        for path in (*places.out.iterdir(), places.out):
            holdings.sync(path)
        _remove(places.results)  # an incomplete one, or it would have been returned
        places.out.rename(places.results)
        holdings.sync(places.results.parent)
    return _placed(result, places.results)


def _manifest(places: Places) -> Manifest:
    return msgspec.json.decode((places.results / MANIFEST).read_bytes(), type=Manifest)


def _placed(result: Result, folder: Path) -> Result:
    files = tuple(
        msgspec.structs.replace(file, path=str(folder / file.path)) for file in result.files
    )
    return msgspec.structs.replace(result, files=files)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _lock_path(stage: Path) -> Path:
    return stage.with_suffix(locks.SUFFIX)


def _age(folder: Path, now: float) -> float:
    try:
        return now - folder.stat().st_mtime
    except FileNotFoundError:  # its run ended meanwhile
        return 0.0


def _cleared(folder: Path) -> bool:
    lock = locks.attempt(_lock_path(folder))
    if lock is None:
        return False
    try:
        _remove(folder)
    finally:
        locks.release(lock)
    return True


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in STORAGE:
            raise
        raise from_os_error(error, doing) from error


async def _to_its_end(function: Callable[..., Answer], *args: object) -> Answer:
    """Run in a thread and wait for its end even when cancelled: a thread cannot be stopped."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise
