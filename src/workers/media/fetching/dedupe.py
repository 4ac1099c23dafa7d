"""One link, one download: a link that was downloaded for another job is not fetched again.

``links/<key>.json`` says which job's published result holds a link's files. Another job gets
them as hard links, so that each result lives and goes on its own.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec

from consumers.errors import TransientError
from workers.hours import DAY, HOUR
from workers.media.fetching.wire import FetchRequest
from workers.media.files import locks, workspace
from workers.media.files.workspace import Places
from workers.processor import Job, Result

SWEEP = DAY  # seconds between two tidyings of the records
REMEMBERED = HOUR  # seconds that is remembered what a page or a list leads to
PAUSE = 5.0  # seconds before a job looks again whether the other one is done
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TRACKING = frozenset(
    {"fbclid", "gclid", "dclid", "msclkid", "yclid", "igshid", "igsh", "mc_cid", "mc_eid"}
    | {"_ga", "_gl", "ref_src", "ref_url"}
)
_SHARING = {"si": ("youtube.com", "youtu.be", "spotify.com"), "feature": ("youtube.com",)}


class Known(msgspec.Struct, frozen=True):
    """Where a link's files are."""

    id: str  # of the job they were fetched for
    folder: str  # its name below ``results``
    until: float | None = None  # a moment in seconds; afterwards the link may lead elsewhere


def key(request: FetchRequest) -> str:
    """Return what is the same for two downloads that would bring the same files.

    What a download may reach belongs to it, and who is logged in: what one pool was shown is not
    for the jobs of another that would not have been.
    """
    asked = (
        *(normalised(request.link), request.format, request.max_height, request.audio_only),
        *(request.max_items, request.subtitles, request.max_size, request.max_duration),
        *(sorted(set(request.allow)), request.proxy),
        hashlib.sha256(request.cookies.encode()).hexdigest(),
    )
    return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()


def normalised(link: str) -> str:
    """Return a link without what does not change where it leads.

    The fragment stays where it is a path of its own (``#!/video/1``); the query is put in order
    where no key occurs twice.
    """
    parts = urlsplit(link)
    fragment = parts.fragment if parts.fragment.startswith(("!", "/")) else ""
    query = _query(parts)
    return urlunsplit((parts.scheme.lower(), _place(parts), parts.path or "/", query, fragment))


def recall(media: Path, key: str, out: Path, *, now: float) -> tuple[Known, Result] | None:
    """Put the files of a link into ``out`` if they are there and whole; say where they are from."""
    record = _record(media, key)
    try:
        known = msgspec.json.decode(record.read_bytes(), type=Known)
    except (OSError, msgspec.DecodeError):
        return None
    if known.until is not None and not now < known.until <= now + REMEMBERED:
        return None
    places = Places(stage=out, out=out, results=media / "results" / Path(known.folder).name)
    result = workspace.published(places)
    if result is None:  # tidied away meanwhile
        record.unlink(missing_ok=True)
        return None
    try:
        files = tuple(
            msgspec.structs.replace(file, path=str(_linked(Path(file.path), out)))
            for file in result.files
        )
    except FileNotFoundError:  # tidied away at this moment
        for path in out.iterdir():
            path.unlink()
        return None
    return known, msgspec.structs.replace(result, files=files)


def is_known(media: Path, key: str) -> bool:
    """Answer whether it is written down where a link's files are."""
    return _record(media, key).exists()


def remember(media: Path, key: str, job: Job, *, until: float | None = None) -> None:
    """Write down that a job's published result holds a link's files, perhaps up to a moment."""
    record = _record(media, key)
    record.parent.mkdir(parents=True, exist_ok=True)
    known = Known(id=job.id, folder=workspace.job_key(job), until=until)
    fresh = record.with_name(f".{record.name}.{os.getpid()}")
    fresh.write_bytes(msgspec.json.encode(known))
    fresh.rename(record)
    swept = record.with_name(".swept")
    if not swept.exists() or record.stat().st_mtime - swept.stat().st_mtime > SWEEP:
        swept.touch()
        sweep(media)


def sweep(media: Path) -> None:
    """Remove the records of results that are no more, and what killed workers left half."""
    links = media / "links"
    for half in links.glob(".*.json.*"):
        with contextlib.suppress(OSError):
            if (links / ".swept").stat().st_mtime - half.stat().st_mtime > SWEEP:
                half.unlink()
    for record in links.glob("*.json"):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            known = msgspec.json.decode(record.read_bytes(), type=Known)
            if not (media / "results" / Path(known.folder).name).exists():
                record.unlink()


@contextlib.asynccontextmanager
async def alone(media: Path, key: str) -> AsyncIterator[None]:
    """Run the block while no other job downloads the same.

    Raises:
        TransientError: ``busy`` when one does. It costs no attempt and ends with the other job,
            whose lock goes with its process: waiting here would keep a worker from other work.
    """
    path = media / "work" / f"{key}.link{locks.SUFFIX}"
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    lock = locks.attempt(path)
    if lock is None:
        why = "another job is downloading this link"
        raise TransientError(why, code="busy", after=PAUSE, counts=False)
    try:
        yield
    finally:
        locks.release(lock)


def _place(parts: SplitResult) -> str:
    """Return host and port; who logs in is kept, for others may see something else."""
    user, at, _ = parts.netloc.rpartition("@")
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    is_usual = parts.port in {None, _DEFAULT_PORTS.get(parts.scheme.lower())}
    return f"{user}{at}{host}" if is_usual else f"{user}{at}{host}:{parts.port}"


def _query(parts: SplitResult) -> str:
    host = parts.hostname or ""
    said = [one for one in parts.query.split("&") if one]
    kept = [one for one in said if not _is_tracking(one.partition("=")[0].lower(), host)]
    names = [one.partition("=")[0] for one in kept]
    return "&".join(sorted(kept) if len(set(names)) == len(names) else kept)


def _is_tracking(name: str, host: str) -> bool:
    sites = _SHARING.get(name, ())
    of_site = any(f".{host}".endswith(f".{site}") for site in sites)
    return name.startswith("utm_") or name in _TRACKING or of_site


def _linked(source: Path, out: Path) -> Path:
    target = out / source.name
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:  # some file systems have no hard links
        shutil.copy2(source, target)
    return target


def _record(media: Path, key: str) -> Path:
    return media / "links" / f"{key}.json"
