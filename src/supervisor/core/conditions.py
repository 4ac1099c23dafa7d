"""When the machine lets no new job begin: which holds are in force, from what was measured.

A hold is placed below a limit and lifted a fifth above it, so that a job which needs just what
became free does not begin the game again. Sizes are bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

AGAIN = 1.2  # of the limit must be free before jobs begin again
OWN_NEED = 100_000_000  # of our own files, when they lie on another disk than the media
OWN_SHARE = 0.1  # of a small disk, at the most

LEDGER = "ledger"
MEMORY = "memory"
MEDIA_DISK = "media disk"
MEDIA_QUOTA = "media quota"
OWN_DISKS = {"ledger": "ledger disk", "state": "state disk"}
# What no worker may lift.
OURS = frozenset({LEDGER, MEMORY, MEDIA_DISK, MEDIA_QUOTA, *OWN_DISKS.values()})
OPERATOR = "operator"  # the hold of a person, who knows why nothing moves

Holds = Mapping[str, str]  # by name, why nothing new is taken, and what to do


@dataclass(frozen=True, slots=True)
class Limits:
    """What must be free for jobs to begin; 0: it does not matter."""

    disk: int = 0
    memory: int = 0
    quota: int = 0  # what results may take in all


@dataclass(frozen=True, slots=True)
class Space:
    """What a file system has; ``device`` tells two of them apart."""

    free: int
    total: int
    device: int


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that must have room, and what was found: its space, or why that is not known."""

    hold: str  # the name of the hold
    folder: str
    found: Space | str


@dataclass(frozen=True, slots=True)
class Measures:
    """One look at the machine."""

    places: Sequence[Place] = ()  # the media's first
    memory: int | None = None  # available; None: nobody knows
    ledger: str = ""  # why it cannot be written, if it cannot
    stored: int | None = None  # what results take; None: nobody knows


def holds(measures: Measures, limits: Limits, before: Holds) -> Holds:
    """Return the holds that are to be in force; ``before`` are those that were."""
    found = {LEDGER: measures.ledger} if measures.ledger else {}
    if limits.disk:
        for place in _apart(measures.places):
            if why := _of_place(place, limits.disk, before):
                found[place.hold] = why
    memory = measures.memory
    if memory is not None and memory < _limit(MEMORY, limits.memory, before):
        found[MEMORY] = before.get(MEMORY) or _low_memory(memory, limits.memory)
    if limits.quota and _is_over(measures.stored or 0, limits.quota, before):
        found[MEDIA_QUOTA] = before.get(MEDIA_QUOTA) or _full(measures.stored or 0, limits.quota)
    return found


def _is_over(stored: int, quota: int, before: Holds) -> bool:
    return stored > quota / AGAIN if MEDIA_QUOTA in before else stored >= quota


def _of_place(place: Place, wanted: int, before: Holds) -> str:
    """Return why nothing may begin because of a place; empty if there is no reason."""
    if isinstance(place.found, str):
        return f"{place.folder}: {place.found}; see whether its disk is there and well"
    need = _need(place, place.found, wanted)
    if place.found.free >= _limit(place.hold, need, before):
        return ""
    # The figures stay those of the moment it was placed: it is told once, not at every look.
    return before.get(place.hold) or _low_disk(place.folder, place.found.free, need)


def _need(place: Place, space: Space, wanted: int) -> int:
    if place.hold == MEDIA_DISK:
        return wanted
    return min(wanted, OWN_NEED, int(space.total * OWN_SHARE))


def _limit(name: str, need: int, before: Holds) -> int:
    return int(need * AGAIN) if name in before else need


def _apart(places: Sequence[Place]) -> list[Place]:
    """Return the places that lie on file systems of their own."""
    apart: list[Place] = []
    seen: set[int] = set()
    for place in places:
        if isinstance(place.found, Space):
            if place.found.device in seen:
                continue
            seen.add(place.found.device)
        apart.append(place)
    return apart


def _low_disk(folder: str, free: int, need: int) -> str:
    return (
        f"{folder}: {_size(free)} free, {_size(need)} are needed (min_free_disk); "
        f"make room, jobs begin again at {_size(int(need * AGAIN))}"
    )


def _low_memory(available: int, need: int) -> str:
    return (
        f"{_size(available)} of memory available, {_size(need)} are needed (min_free_memory); "
        f"end something, or have fewer workers; jobs begin again at {_size(int(need * AGAIN))}"
    )


def _full(stored: int, quota: int) -> str:
    return (
        f"results take {_size(stored)}, {_size(quota)} are allowed (media.quota); "
        f"remove some, or keep them for less time (media.keep); "
        f"jobs begin again at {_size(int(quota / AGAIN))}"
    )


def _size(size: int) -> str:
    if size < 10**6:
        return f"{size / 10**3:,.0f} kB"
    return f"{size / 10**6:,.0f} MB" if size < 10**9 else f"{size / 10**9:,.1f} GB"
