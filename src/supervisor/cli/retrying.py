"""How jobs fare by attempts, as a table with bars."""

from rich.table import Table
from rich.text import Text

from consumers.retry import Backoff, RetryPolicy
from supervisor.cli.asking import supervisor
from supervisor.cli.screen import print_json, screen, show, span, table
from supervisor.client import quoted
from supervisor.core.retries import RetryRow
from supervisor.desks.retries import RetriesView

_BAR, _LEAST_BAR = 40, 6  # characters of the longest, as there is room
_NUMBERS = 54  # columns of all numbers, and of what is between them


def show_retries(pool: str, *, as_json: bool) -> None:
    """Show the attempts of a pool's jobs."""
    with supervisor() as client:
        found = client.ask("GET", f"/api/queues/{quoted(pool)}/retries", RetriesView)
    if as_json:
        print_json(found)
    else:
        show(retries_table(found, width=screen().width))


def retries_table(found: RetriesView, *, width: int) -> Table:
    """Return one line for each number of attempts; the bar is of those that ended.

    What the numbers leave of ``width`` columns is for the bars.
    """
    shown = table()
    shown.title = f"{found.pool}: {policy_words(found.policy)}"
    shown.title_justify, shown.title_style = "left", ""
    for name in ("Attempts", "Completed", "Failed", "Other", "Active", "Waiting"):
        shown.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    shown.add_column("Ended", no_wrap=True)
    longest = max((_ended(row) for row in found.rows), default=0)
    room = max(_LEAST_BAR, min(_BAR, width - _NUMBERS))
    for row in found.rows:
        numbers = (row.completed, row.failed, row.cancelled, row.active, row.waiting)
        cells = (str(number or "") for number in numbers)
        shown.add_row(str(row.attempts), *cells, _bar(row, longest, room))
    return shown


def policy_words(policy: RetryPolicy) -> str:
    """Return a pool's retry policy as a few words."""
    waits = _waits(policy)
    return f"at most {policy.attempts} attempts, {waits}, jitter {policy.jitter.value}"


def _waits(policy: RetryPolicy) -> str:
    match policy.backoff:
        case Backoff.FIXED:
            return f"{span(policy.delay)} apart"
        case Backoff.LIST:
            return "after " + ", ".join(span(delay) for delay in policy.delays)
        case Backoff.EXPONENTIAL:
            return f"from {span(policy.delay)} doubling to {span(policy.max)}"


def _ended(row: RetryRow) -> int:
    return row.completed + row.failed + row.cancelled


def _bar(row: RetryRow, longest: int, room: int) -> Text:
    """Return a bar that is never empty where there is something: one job shows too."""
    bar = Text()
    for number, colour in ((row.completed, "green"), (row.failed, "red"), (row.cancelled, "dim")):
        if number:
            bar.append("█" * max(1, round(room * number / longest)), colour)
    return bar
