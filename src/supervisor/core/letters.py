"""Dead letters as people choose them: which are meant, in words, and when each is sent again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters: all that fit whatever is said; what is None does not matter."""

    pool: str | None = None
    group: str | None = None  # of errors
    code: str | None = None  # of its error
    sender: str | None = None
    text: str | None = None  # in its error, its body or its id, upper and lower case alike
    since: datetime | None = None  # failed then or later
    until: datetime | None = None  # failed then or before
    keys: tuple[tuple[str, str], ...] = ()  # queues and ids

    @property
    def is_everything(self) -> bool:
        """Answer whether every dead letter there is fits."""
        return self == LetterFilter()


def in_words(wanted: LetterFilter) -> str:
    """Return which dead letters are meant, for people."""
    if len(wanted.keys) == 1:
        return f"job {wanted.keys[0][1]}"
    said = [
        f"{word} {value}"
        for word, value in (
            ("pool", wanted.pool),
            ("group", wanted.group),
            ("code", wanted.code),
            ("from", wanted.sender),
            ("text", None if wanted.text is None else repr(wanted.text)),
            ("since", _moment(wanted.since)),
            ("until", _moment(wanted.until)),
            ("of", f"{len(wanted.keys)} jobs" if wanted.keys else None),
        )
        if value is not None
    ]
    return ", ".join(said) or "all dead letters"


def has_text(parts: Iterable[str | bytes], wanted: str) -> bool:
    """Answer whether a text is in one of these, upper and lower case alike."""
    sought = wanted.casefold()
    return any(sought in _text(part).casefold() for part in parts)


def moments(first: datetime, rate: float | None) -> Iterator[datetime]:
    """Yield when each of many is sent, ``rate`` of them a second; without a rate all at once."""
    number = 0
    while True:
        yield first if rate is None else first + timedelta(seconds=number / rate)
        number += 1


def lasting(jobs: int, rate: float | None) -> float:
    """Return how many seconds lie between the first of so many and the last."""
    return 0.0 if rate is None or jobs < 2 else (jobs - 1) / rate


def _text(part: str | bytes) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def _moment(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec="seconds")
