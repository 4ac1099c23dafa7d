"""``logs``: what the supervisor and its workers wrote, last lines first asked, then followed."""

import click
from click.shell_completion import CompletionItem

from supervisor.cli.options import Whole, takes_json, takes_supervisor

_LEVELS = ("debug", "info", "warning", "error", "critical")
_MOST = 5_000


def _in_full(_: click.Context, __: click.Parameter, level: str) -> str:
    """Return the level; ``warn`` is what many programs call a warning."""
    return "warning" if level == "warn" else level


def _workers(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the processes that begin so; none where the configuration cannot be read."""
    from supervisor.cli.configured import settings
    from supervisor.cli.tailing import workers_of

    try:
        with context.scope(cleanup=False):
            found = settings()
    except click.ClickException:
        return []
    known = dict.fromkeys(["supervisor", *workers_of(found), *found.workers])
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


@click.command(short_help="Show what the processes wrote, and follow it.")
@takes_supervisor
@takes_json
@click.argument("names", metavar="[WORKER]...", nargs=-1, shell_complete=_workers)
@click.option(
    "-f",
    "--follow",
    is_flag=True,
    help="Go on with what is written, until Ctrl-C; over restarts too.",
)
@click.option(
    "-n",
    "--lines",
    "most",
    metavar="N",
    type=Whole(0, _MOST),
    help=f"At most the last N lines.  [default: 100; with --since {_MOST:,}]",
)
@click.option(
    "--level",
    type=click.Choice((*_LEVELS, "warn"), case_sensitive=False),
    callback=_in_full,
    default=_LEVELS[0],
    help="At least this bad.",
)
@click.option("--job", metavar="ID", default="", help="Only lines that name this job.")
@click.option(
    "--since",
    metavar="WHEN",
    help="Only of the last 10m, 2h or 1d, or since a moment with its zone.",
)
def logs(
    *,
    as_json: bool,
    names: tuple[str, ...],
    follow: bool,
    most: int | None,
    **chosen: str | None,
) -> None:
    """Show the last lines of the supervisor and all its workers, in the order of time.

    WORKER is a worker, a pool, or supervisor; of a worker, the supervisor's lines about it are
    shown too. On this machine the files in the state folder are read, also when no supervisor runs:
    to see what was said before it died. With --json each line is one JSON object.

    \b
    Examples:
      python -m supervisor logs
      python -m supervisor logs download-1 -f
      python -m supervisor logs --level warning --since 1h
      python -m supervisor logs --job 6f1d2a90c3b4 --json | jq -r '[.process, .event] | @tsv'
    """
    from supervisor.cli.tailing import Asked, tail

    asked = Asked(frozenset(names), most, follow=follow, **chosen)  # type: ignore[arg-type]  # as declared above
    tail(asked, as_json=as_json)
