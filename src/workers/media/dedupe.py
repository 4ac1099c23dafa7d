"""One link, one download: a link that was downloaded for another job is not fetched again.

``links/<key>.json`` says which job's published result holds a link's files. Another job gets
them as hard links, so that each result lives and goes on its own.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

import msgspec

from workers.media import locks, workspace
from workers.media.wire import FetchRequest
from workers.media.workspace import Places
from workers.processor import Job, JobContext, Result

DAY = 86400.0  # seconds between two tidyings of the records
PAUSE = 0.2  # seconds between two looks at whether the other job is done
SHARE = 0.5  # of the time left that is spent waiting for it; then the link is fetched twice
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


def key(request: FetchRequest, *, cookies: bool) -> str:
    """Return what is the same for two downloads that would bring the same files."""
    asked = (
        *(normalised(request.link), request.format, request.max_height, request.audio_only),
        *(request.max_items, request.subtitles, request.max_size, request.max_duration, cookies),
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


def recall(media: Path, key: str, out: Path) -> tuple[Known, Result] | None:
    """Put the files of a link into ``out`` if they are there and whole; say where they are from."""
    record = _record(media, key)
    try:
        known = msgspec.json.decode(record.read_bytes(), type=Known)
    except (OSError, msgspec.DecodeError):
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


def remember(media: Path, key: str, job: Job) -> None:
    """Write down that a job's published result holds a link's files."""
    record = _record(media, key)
    record.parent.mkdir(parents=True, exist_ok=True)
    known = Known(id=job.id, folder=workspace.job_key(job))
    fresh = record.with_name(f".{record.name}.{os.getpid()}")
    fresh.write_bytes(msgspec.json.encode(known))
    fresh.rename(record)
    swept = record.with_name(".swept")
    if not swept.exists() or record.stat().st_mtime - swept.stat().st_mtime > DAY:
        swept.touch()
        sweep(media)


def sweep(media: Path) -> None:
    """Remove the records of results that are no more."""
    for record in (media / "links").glob("*.json"):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            known = msgspec.json.decode(record.read_bytes(), type=Known)
            if not (media / "results" / Path(known.folder).name).exists():
                record.unlink()


@contextlib.asynccontextmanager
async def alone(media: Path, key: str, context: JobContext) -> AsyncIterator[None]:
    """Run the block while no other job downloads the same, or when that takes too long."""
    path = media / "work" / f"{key}.link.lock"
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    until = context.deadline - (context.deadline - time.monotonic()) * SHARE
    lock = locks.attempt(path)
    while lock is None and not context.cancelled.is_set() and time.monotonic() < until:
        context.progress(0, "another job is downloading this link")
        await asyncio.sleep(PAUSE)
        lock = locks.attempt(path)
    try:
        yield
    finally:
        if lock is not None:
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
