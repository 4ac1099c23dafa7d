"""What the download child says of an exception: its chain, outermost first, as plain values.

It describes and does not judge; ``fetch_faults`` does that, on the worker's side.
"""

import contextlib
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from consumers.clock import SystemClock
from workers.media.fetching.wire import Cause


def describe(error: BaseException) -> tuple[Cause, ...]:
    """Return the chain of causes, outermost first."""
    return tuple(_cause(one) for one in chain(error))


def reason(error: BaseException) -> str:
    """Return the words of what lies at the bottom."""
    *_, inmost = chain(error)
    return str(getattr(inmost, "msg", None) or inmost)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what lies behind it, each once; yt-dlp has three ways to keep a cause."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = _inner(current)


def _inner(error: BaseException) -> BaseException | None:
    held = getattr(error, "exc_info", None) or (None, None)
    swallowed = getattr(error, "unexpected_errors", None) or (None,)  # of yt-dlp's clients
    candidates = (
        *(held[1], getattr(error, "cause", None)),
        *(error.__cause__, error.__context__, swallowed[0]),
    )
    return next((one for one in candidates if isinstance(one, BaseException)), None)


def _cause(error: BaseException) -> Cause:
    status = getattr(error, "status", None)
    number = getattr(error, "errno", None)
    return Cause(
        kind=type(error).__name__,
        text=str(getattr(error, "msg", None) or error),
        status=status if isinstance(status, int) else None,
        errno=number if isinstance(number, int) else None,
        expected=bool(getattr(error, "expected", False)),
        retry_after=_retry_after(error),
        host=_host(error),
    )


def _host(error: BaseException) -> str:
    """Return who answered, after all redirects; or the host that was not even asked."""
    answered = getattr(getattr(error, "response", None), "url", None)
    with contextlib.suppress(ValueError):  # sites choose where they lead
        if isinstance(answered, str) and (host := urlsplit(answered).hostname):
            return host
    return str(getattr(error, "host", None) or "")


def _retry_after(error: BaseException) -> float | None:
    after = getattr(error, "after", None)
    if isinstance(after, float):  # of a site that was not asked
        return after
    # yt-dlp's error has the response, urllib's below it is one; requests has no such second error.
    answer = getattr(error, "response", None) or error
    headers = getattr(answer, "headers", None) or {}
    value = str(headers.get("Retry-After", ""))
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        until = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (until - SystemClock().utcnow()).total_seconds())
    except (ValueError, OverflowError):  # a year or a zone that no calendar has
        return None
