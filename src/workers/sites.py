"""How a site is treated: how many jobs visit it at a time, how often, and when it is left alone.

Pure, but for ``cooling``, with which the coordinator looks at what workers wrote down, and for
``sweep``. Times are seconds of the wall clock: what is written is read by other processes, and
after a restart.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

# Other names of sites that many jobs go to: they refuse all of them together.
ALIASES = {
    "youtu.be": "youtube.com",
    "youtube-nocookie.com": "youtube.com",
    "fb.watch": "facebook.com",
    "twitter.com": "x.com",
    "vm.tiktok.com": "tiktok.com",
    "vt.tiktok.com": "tiktok.com",
}

FOLDER = "sites"  # below the media root
RECORD = ".json"
AT_HAND = 2.0  # seconds that a job may wait in its place; others could use it meanwhile
SPREAD = 1.0  # seconds between two jobs that come back, so that they do not come all at once
CROWD = 5.0  # seconds before a job looks again whether a crowded site has room


class Manners(msgspec.Struct, frozen=True):
    """How often a site is visited; times are seconds."""

    concurrency: int = 4
    interval: float = 0.25  # between the beginnings of two visits
    cool_down: float = 300.0  # after a refusal that names no time; doubled by each one after it
    longest: float = 3600.0  # that a site is left alone


class Site(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a site."""

    name: str
    free_at: float = 0.0  # not visited before, for the interval's sake
    turn: float = 0.0  # when the last of those comes back who were sent away
    cools_until: float = 0.0
    cooled: float = 0.0  # how long the last pause was; 0 after a visit that went well
    why: str = ""


@dataclass(frozen=True, slots=True)
class Enter:
    """Go ahead after so many seconds."""

    site: Site
    after: float


@dataclass(frozen=True, slots=True)
class ComeBack:
    """Not now; try again after so many seconds."""

    site: Site
    after: float
    why: str
    is_closed: bool = False  # by the site itself, not for our own good manners


def arrive(site: Site, manners: Manners, *, now: float, has_room: bool) -> Enter | ComeBack:
    """Return whether a job may visit a site now; ``has_room``: fewer visit it than may."""
    pause = min(site.cools_until - now, manners.longest)  # a clock that was set back is no pause
    if pause > 0:
        closed = _send_away(site, manners, now=now, at=now + pause, why=site.why)
        return dataclasses.replace(closed, is_closed=True)
    if not has_room:
        why = f"{manners.concurrency} jobs are visiting {site.name} already"
        return _send_away(site, manners, now=now, at=now + CROWD, why=why)
    wait = max(0.0, site.free_at - now)
    if wait > AT_HAND + manners.interval:  # nobody ever waited so long: the clock was set back
        wait = 0.0
    if wait > AT_HAND:
        why = f"{site.name} is visited once in {manners.interval:g} s"
        return _send_away(site, manners, now=now, at=now + wait, why=why)
    return Enter(replace(site, free_at=now + wait + manners.interval), wait)


def refused(site: Site, manners: Manners, *, now: float, asked: float | None, why: str) -> Site:
    """Return a site that asked to be left alone, for ``asked`` seconds if it said so."""
    is_cooling = site.cools_until > now
    if asked is not None:
        pause = asked
    elif is_cooling:  # one of those who were inside when it began
        pause = site.cools_until - now
    else:
        pause = max(manners.cool_down, 2 * site.cooled)
    pause = min(max(pause, 0.0), manners.longest)
    until = max(now + pause, site.cools_until if is_cooling else 0.0)
    return replace(site, cools_until=until, cooled=pause, why=why)


def welcomed(site: Site) -> Site:
    """Return a site after a visit that went well."""
    return replace(site, cooled=0.0)


def is_forgettable(site: Site, *, now: float) -> bool:
    """Answer whether a site is like one that was never visited."""
    return not site.cooled and max(site.free_at, site.turn, site.cools_until) <= now


def name_of(host: str) -> str:
    """Return the site a host belongs to: ``www`` is no other place, nor is a short name."""
    name = host.lower().rstrip(".")
    for prefix in ("www.", "m."):
        if name.startswith(prefix) and name.count(".") > 1:
            name = name.removeprefix(prefix)
    return ALIASES.get(name, name)


def cooling(media: Path, *, now: float) -> Iterator[tuple[Site, float]]:
    """Yield the sites that are left alone, and for how many seconds still."""
    for file in sorted((media / FOLDER).glob(f"*{RECORD}")):
        try:
            site = msgspec.json.decode(file.read_bytes(), type=Site)
        except (OSError, msgspec.DecodeError):  # gone, or being made
            continue
        if site.cools_until > now:
            yield site, site.cools_until - now


def sweep(folder: Path, *, now: float, age: float) -> None:
    """Remove the records that say nothing and were not written for so many seconds."""
    for file in folder.glob(f"*{RECORD}"):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            site = msgspec.json.decode(file.read_bytes(), type=Site)
            is_old = file.stat().st_mtime < now - age  # nobody is visiting it at this moment
            if is_old and is_forgettable(replace(site, cooled=0.0), now=now):
                file.unlink()


def _send_away(site: Site, manners: Manners, *, now: float, at: float, why: str) -> ComeBack:
    """Give a job its turn behind those who were sent away before, an hour ahead at most."""
    turn = site.turn if site.turn - now <= manners.longest else 0.0
    turn = max(at, turn + max(SPREAD, manners.interval))
    return ComeBack(replace(site, turn=turn), turn - now, why)
