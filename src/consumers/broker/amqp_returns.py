"""Which of the publishes under way did the broker give back?

The client library recognises a returned message by its message id alone: it invents one where
there is none and confuses two publishes with the same id, so a job would change or be lost. We
compare the whole message. A return comes before the confirm of the same publish, so the oldest
one alike is meant; those that are alike in everything are the same job.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a publish and its return have in common."""

    exchange: str
    key: str
    message_id: str
    body: bytes


@dataclass(slots=True, eq=False)
class Publication:
    """A publish under way; ``returned`` holds the broker's reason once it was given back."""

    parcel: Parcel
    returned: str = ""


@dataclass(slots=True)
class UnderWay:
    """The publishes of one channel that have no confirm yet, oldest first."""

    _publications: dict[int, Publication] = field(default_factory=dict)

    def begin(self, parcel: Parcel) -> Publication:
        """Take note of a publish."""
        publication = Publication(parcel)
        self._publications[id(publication)] = publication
        return publication

    def end(self, publication: Publication) -> None:
        """Forget a publish that was confirmed, or given up."""
        self._publications.pop(id(publication), None)

    def give_back(self, parcel: Parcel, reason: str) -> None:
        """Mark the oldest publish that looks like what came back."""
        for publication in self._publications.values():
            if not publication.returned and publication.parcel == parcel:
                publication.returned = reason or "no reason given"
                return
