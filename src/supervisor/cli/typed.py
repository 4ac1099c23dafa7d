"""What people type after an option, read: times, priorities, moments."""

from collections.abc import Callable
from datetime import datetime, timedelta

import click

from consumers.clock import SystemClock
from supervisor.config.values import duration


def seconds_in(text: str, option: str, read: Callable[[str], float] = duration) -> float:
    """Return the seconds that an option says, like ``10m``. Raises UsageError."""
    try:
        return read(text)
    except ValueError as error:
        message = f"{option}: {error}"
        raise click.UsageError(message) from error


def moment_in(text: str, option: str) -> datetime:
    """Return the moment that an option says, with its zone. Raises UsageError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{option}: must be a moment like 2026-12-24T18:00:00+01:00, is '{text}'"
        raise click.UsageError(message) from error
    if found.tzinfo is None:
        whole = found.isoformat()
        message = f"{option}: say in which zone, like {whole}Z or {whole}+01:00"
        raise click.UsageError(message)
    return found


def past_moment_in(text: str | None, option: str) -> datetime | None:
    """Return the moment that an option says: so long ago, or one with its zone; None for none.

    Raises:
        UsageError: it says neither.
    """
    if text is None:
        return None
    try:
        return SystemClock().utcnow() - timedelta(seconds=duration(text))
    except (ValueError, OverflowError) as error:
        if text[:1].isdigit() and "-" in text:
            return moment_in(text, option)
        message = (
            f"{option}: must be a time like 10m, 2h or 1d, or a moment like "
            f"2026-12-24T18:00:00+01:00, is '{text}'"
        )
        raise click.UsageError(message) from error


def level_in(text: str) -> int | str:
    """Return the level that is named; what a number means, only its pool can say."""
    return int(text) if text.removeprefix("-").isdecimal() else text
