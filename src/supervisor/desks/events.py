"""What the doors ask of the bulletin: to hear what happens, all of it or what they name."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it travels: its JSON, and what it is chosen by.

    ``number`` counts from 1 in each life of the coordinator; ``key`` names the life too, so that
    no two events have the same.
    """

    number: int
    key: str
    at: datetime
    name: str
    queue: str
    job: str
    body: bytes  # a JSON object on one line
    root: str = ""  # of its job


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events somebody wants to hear; what is empty does not matter.

    A name may be a family: ``worker.*`` is every event whose name begins with ``worker.``. Of a
    root all that came of it is wanted, and itself.
    """

    queues: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()
    roots: frozenset[str] = frozenset()

    def fits(self, told: Told) -> bool:
        """Answer whether an event is one of them."""
        return (
            (not self.jobs or told.job in self.jobs)
            and (not self.roots or told.root in self.roots or told.job in self.roots)
            and (not self.queues or told.queue in self.queues)
            and (not self.names or told.name in self.names or family(told.name) in self.names)
        )


@dataclass(frozen=True, slots=True)
class News:
    """What happened since somebody last asked, and how much of it is lost; None: nobody knows."""

    told: tuple[Told, ...] = ()
    missed: int | None = 0


class Listening(Protocol):
    """Somebody's place among the listeners."""

    async def take(self) -> News | None:
        """Return what happened since the last time, waiting for it; None once no more comes."""

    def leave(self) -> None:
        """Hear nothing any more; may be called twice."""


def family(name: str) -> str:
    """Return how the family of an event is asked for: ``worker.*`` of ``worker.crashed``."""
    return f"{name.partition('.')[0]}.*"


EVERYTHING = Wanted()
