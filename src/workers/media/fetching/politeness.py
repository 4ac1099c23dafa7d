"""Politeness: a visit to a site, which all workers of this machine take turns at.

What ``sites`` decides is kept below the media root, where they all see it: a record for each site,
and a lock file for each place inside it, which the kernel frees when its holder dies.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from consumers.clock import Clock, SystemClock
from consumers.errors import TransientError, WorkError
from workers import sites
from workers.hours import DAY
from workers.media import manners
from workers.media.faults import fault, from_os_error
from workers.media.fetching.fetch_faults import REFUSED, SiteRefusedError
from workers.media.files import locks
from workers.media.files.locks import Lock
from workers.media.manners import SiteOptions
from workers.processor import JobContext
from workers.sites import ComeBack, Enter, Manners, Site

ENDURANCE = DAY  # seconds that a site may refuse a job before that counts as a failure
SWEEP = DAY  # seconds between two looks for records that say nothing any more
_LONGEST_NAME = 150  # characters; a file's name has room for 255
_CLOCK = SystemClock()
_WAITING = "waiting"  # a folder in the stage: as old as the first time the site refused the job


@contextlib.asynccontextmanager
async def visit(
    link: str,
    options: Mapping[str, SiteOptions],
    stage: Path,
    context: JobContext,
    clock: Clock = _CLOCK,
) -> AsyncIterator[None]:
    """Enter the site of a link, or be sent away; a refusal while inside closes it for all.

    ``options`` are those of the pool, by site.

    Raises:
        TransientError: ``rate_limited``; it costs the job no attempt, for a day.
    """
    name, treated = manners.of_host(urlsplit(link).hostname or "", options)
    book = _Book(context.media / sites.FOLDER, name, clock)
    visitor = _Visitor(book, treated, stage, options)
    try:
        after = await visitor.enter()
        if after:
            context.progress(0, f"waiting {after:.1f} s for {name}")
            await asyncio.sleep(after)
        yield
    except WorkError as error:
        if error.code == REFUSED and visitor.slot is not None:
            raise await visitor.refused(error) from error
        if visitor.slot is not None:
            with contextlib.suppress(WorkError):  # what the job failed of says more
                await visitor.tidied()
        raise
    else:
        await visitor.welcomed()
    finally:
        visitor.leave()


def closed(
    media: Path, options: Mapping[str, SiteOptions], clock: Clock = _CLOCK
) -> dict[str, float]:
    """Return the sites that are left alone, and for how many seconds still."""
    now = clock.utcnow().timestamp()
    return {
        site.name: min(rest, manners.of_host(site.name, options)[1].longest)
        for site, rest in sites.cooling(media, now=now)
    }


@dataclass(slots=True)
class _Visitor:
    """One job at the door of one site."""

    book: "_Book"
    manners: Manners
    stage: Path
    options: Mapping[str, SiteOptions]
    slot: Lock | None = None

    async def enter(self) -> float:
        """Take a place inside; return after how many seconds the visit may begin."""
        async with self.book.open():
            verdict = await asyncio.to_thread(self._ask)
        if isinstance(verdict, ComeBack):
            raise await self._sent_away(verdict.why, verdict.after, is_refused=verdict.is_closed)
        return verdict.after

    async def refused(self, error: WorkError) -> TransientError:
        """Close the site for a while, and the one it led to; return what the job is told."""
        asked = error.after if isinstance(error, TransientError) else None
        own, other = (self.book, self.manners), self._led_to(error)
        if isinstance(error, SiteRefusedError) and error.is_known:
            book, treated = other or own
            async with book.open():
                after = await asyncio.to_thread(book.turn, treated)
            return await self._sent_away(error.message, after, is_refused=True)
        after = 0.0
        for book, treated in (own, other) if other else (own,):
            async with book.open():
                rest = await asyncio.to_thread(book.close, treated, asked, error.message)
            after = max(after, rest)
        return await self._sent_away(error.message, after, is_refused=True)

    async def welcomed(self) -> None:
        """Note that the site is as it should be."""
        async with self.book.open():
            await asyncio.to_thread(self.book.write, sites.welcomed(self.book.site()))
            await asyncio.to_thread(self.book.tidy)

    async def tidied(self) -> None:
        """Leave nothing written of a site of which there is nothing to remember."""
        async with self.book.open():
            await asyncio.to_thread(self.book.tidy)

    def leave(self) -> None:
        """Give the place back, if there was one."""
        if self.slot is not None:
            locks.release(self.slot)
            self.slot = None

    def _led_to(self, error: WorkError) -> "tuple[_Book, Manners] | None":
        """Return the site that refused, where the link led to another one."""
        host = error.host if isinstance(error, SiteRefusedError) else ""
        name, treated = manners.of_host(host, self.options)
        if not name or name == self.book.name:
            return None
        return replace(self.book, name=name), treated

    def _ask(self) -> Enter | ComeBack:
        # A worker that is stopped just now leaves the place held: until its process ends.
        self.slot = self.book.slot(self.manners.concurrency)
        has_room = self.slot is not None
        verdict = sites.arrive(
            self.book.site(), self.manners, now=self.book.now(), has_room=has_room
        )
        self.book.write(verdict.site)
        if isinstance(verdict, ComeBack):
            self.leave()
        return verdict

    async def _sent_away(self, why: str, after: float, *, is_refused: bool) -> TransientError:
        # Waiting for one's turn may take as long as the queue is: nobody has failed by that.
        waited = await asyncio.to_thread(self.book.waited, self.stage) if is_refused else 0.0
        error = fault(REFUSED, why, after=after)
        return TransientError(
            error.message,
            code=error.code,
            hint=error.hint,
            after=after,
            counts=waited > ENDURANCE,
        )


@dataclass(frozen=True, slots=True)
class _Book:
    """What is written of one site; to be opened before it is read or written."""

    folder: Path
    name: str
    clock: Clock

    def now(self) -> float:
        """Return the time as it is written."""
        return self.clock.utcnow().timestamp()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Keep the other workers out for as long as the block lasts."""
        try:
            await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error, "looking up the site") from error
        lock = await locks.acquire(self._file(".lock"))
        try:
            yield
        finally:
            locks.release(lock)

    def site(self) -> Site:
        """Return what is known."""
        try:
            return msgspec.json.decode(self._file(sites.RECORD).read_bytes(), type=Site)
        except (OSError, msgspec.DecodeError):  # never visited, or a machine that went down
            return Site(self.name)

    def write(self, site: Site) -> None:
        """Keep what is known, as long as it says something."""
        file = self._file(sites.RECORD)
        if sites.is_forgettable(site, now=self.now()):
            file.unlink(missing_ok=True)
            return
        draft = self._file(".draft")
        try:
            draft.write_bytes(msgspec.json.encode(site))
            draft.replace(file)
        except OSError as error:
            raise from_os_error(error, "noting the visit to a site") from error

    def close(self, treated: Manners, asked: float | None, why: str) -> float:
        """Write down that the site is left alone; return for how many seconds."""
        now = self.now()
        site = sites.refused(self.site(), treated, now=now, asked=asked, why=why)
        self.write(site)
        return site.cools_until - now

    def turn(self, treated: Manners) -> float:
        """Return after how many seconds a job that found the site closed may come back."""
        verdict = sites.arrive(self.site(), treated, now=self.now(), has_room=True)
        self.write(verdict.site)
        return max(verdict.after, sites.SPREAD)

    def tidy(self) -> None:
        """Forget the site if nothing is to be remembered, and once a day all others like it."""
        swept = self.folder / ".swept"
        with contextlib.suppress(OSError):
            if sites.is_forgettable(self.site(), now=self.now()):
                self._file(sites.RECORD).unlink(missing_ok=True)
            is_recent = swept.exists() and 0 <= self.now() - swept.stat().st_mtime < SWEEP
            if is_recent or not any(self.folder.glob(f"*{sites.RECORD}")):
                return
            swept.touch()
            os.utime(swept, (self.now(), self.now()))
            sites.sweep(self.folder, now=self.now(), age=SWEEP)

    def slot(self, count: int) -> Lock | None:
        """Take a free place; None if all are taken."""
        taken = (locks.attempt(self._file(f".{n}.place")) for n in range(count))
        return next((lock for lock in taken if lock is not None), None)

    def waited(self, stage: Path) -> float:
        """Return for how many seconds a job has been sent away again and again."""
        note = stage / _WAITING
        try:
            note.mkdir(exist_ok=True)
            return max(0.0, self.now() - note.stat().st_mtime)
        except OSError as error:
            raise from_os_error(error, "noting that a job waits") from error

    def _file(self, suffix: str) -> Path:
        name = quote(self.name, safe="[]:") or "nowhere"
        if len(name) > _LONGEST_NAME:
            name = hashlib.sha256(name.encode()).hexdigest()
        return self.folder / f"{name}{suffix}"
