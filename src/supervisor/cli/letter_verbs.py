"""``dlq``: the dead letters, listed, grouped, shown, sent again, edited, kept and thrown away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import click

from supervisor.cli.completion import pools
from supervisor.cli.options import Whole, takes_json, takes_supervisor, takes_yes

_ids = click.argument("job_ids", metavar="[ID]...", nargs=-1)
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would happen.")


def _takes_filter(command: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option("--newer", metavar="TIME", help="Only those that failed since then."),
        click.option("--older", metavar="TIME", help="Only those that failed longer ago: 2h, 7d."),
        click.option("--text", metavar="TEXT", help="Has this in its error, its body or its id."),
        click.option("--from", "sender", metavar="USER", help="On whose behalf it was."),
        click.option("--code", metavar="CODE", help="The code of its error, like not_found."),
        click.option("--group", metavar="GROUP", help="Of errors, as `dlq groups` names them."),
        click.option("--pool", metavar="POOL", help="Of this pool.", shell_complete=pools),
    ):
        command = option(command)
    return command


def _takes_which(command: click.decorators.FC) -> click.decorators.FC:
    """Let a command be told which dead letters it is about: by id, by a filter, or all."""
    every = click.option("--all", "every", is_flag=True, help="All dead letters there are.")
    limit = click.option(
        "--limit", type=Whole(1), metavar="N", help="At most so many, those that failed first."
    )
    return _ids(_takes_filter(limit(every(command))))


def _takes_limit(default: int) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """Let a list be so long at the most."""
    return click.option(
        "--limit",
        type=Whole(1, 1000),
        metavar="N",
        default=default,
        show_default=True,
        help="At most so many.",
    )


@click.group(short_help="Dead letters: jobs that failed for good.")
def dlq() -> None:
    """See what failed for good and why, run it again, or be rid of it.

    \b
    Examples:
      python -m supervisor dlq groups
      python -m supervisor dlq show 7f3a
      python -m supervisor dlq retry --group exception-0a1b2c3d --rate 10/s --dry-run
      python -m supervisor dlq retry --group exception-0a1b2c3d --rate 10/s
      python -m supervisor dlq undo 3
    """


@dlq.command("list", short_help="List dead letters.")
@takes_supervisor
@takes_json
@_takes_filter
@_takes_limit(50)
def list_(*, limit: int, as_json: bool, **said: Any) -> None:
    """List dead letters, the newest jobs first.

    \b
    Examples:
      python -m supervisor dlq list --pool download --newer 1d
      python -m supervisor dlq list --text "disk full" --json | jq -r '.[].id'
    """
    from supervisor.cli.lettering import list_letters, which

    list_letters(which(**said), limit, as_json=as_json)


@dlq.command(short_help="Show one dead letter.")
@takes_supervisor
@takes_json
@click.argument("job_id", metavar="ID")
@click.option("--body", "is_raw", is_flag=True, help="Only its body, byte for byte.")
def show(*, job_id: str, is_raw: bool, as_json: bool) -> None:
    """Show a dead letter: its bytes as they came, every attempt with error and traceback.

    \b
    Examples:
      python -m supervisor dlq show 7f3a
      python -m supervisor dlq show 7f3a --body > body.json
    """
    from supervisor.cli.lettering import print_body, show_letter

    if is_raw:
        print_body(job_id)
    else:
        show_letter(job_id, as_json=as_json)


@dlq.command(short_help="Show what they died of.")
@takes_supervisor
@takes_json
@click.option("--pool", metavar="POOL", help="Of this pool.", shell_complete=pools)
@click.option("--code", metavar="CODE", help="The code of their error.")
@click.option("--older", metavar="TIME", help="Only those that failed longer ago: 2h, 7d.")
@click.option("--newer", metavar="TIME", help="Only those that failed since then.")
def groups(*, as_json: bool, **said: Any) -> None:
    """Show what dead letters died of: errors that are alike are one group, the largest first.

    \b
    Examples:
      python -m supervisor dlq groups
      python -m supervisor dlq groups --pool download --newer 1d
    """
    from supervisor.cli.lettering import list_groups, which

    list_groups(which(**said), as_json=as_json)


@dlq.command(short_help="Run dead letters again.")
@takes_supervisor
@takes_json
@_takes_which
@click.option("--rate", metavar="RATE", help="So many in which time: 10/s, 100/min.")
@_dry_run
def retry(*, rate: str | None, as_json: bool, **said: Any) -> None:
    """Run dead letters again, with a clean count of attempts, those that failed first at the head.

    By ID, or all that fit a filter. What has not begun can be taken back: `dlq undo`.

    \b
    Examples:
      python -m supervisor dlq retry 7f3a
      python -m supervisor dlq retry --group exception-0a1b2c3d --rate 10/s
      python -m supervisor dlq retry --pool download --newer 2h --dry-run
    """
    from supervisor.cli.lettering import retry_letters, which

    retry_letters(which(**said), rate, as_json=as_json)


@dlq.command(short_help="Run a dead letter again with other data.")
@takes_supervisor
@takes_json
@click.argument("job_id", metavar="ID")
@click.option("--data", metavar="JSON", help="The data it is to have; - reads them from stdin.")
@click.option("--set", "changes", metavar="NAME=VALUE", multiple=True, help="One field of them.")
def edit(*, job_id: str, data: str | None, changes: tuple[str, ...], as_json: bool) -> None:
    """Run a dead letter again with other data; on a terminal in your editor, if none are given.

    A VALUE that is JSON is taken as that, else as text. What the job said first is kept with it.

    \b
    Examples:
      python -m supervisor dlq edit 7f3a --set link=https://example.com/v.mp4 --set height=720
      python -m supervisor dlq edit 7f3a --data '{"link": "https://example.com/v.mp4"}'
      python -m supervisor dlq edit 7f3a
    """
    from supervisor.cli.lettering import edit_letter

    edit_letter(job_id, data, changes, as_json=as_json)


@dlq.command(short_help="Take a replay back, as far as it has not begun.")
@takes_supervisor
@takes_json
@click.argument("number", type=Whole(1))
def undo(*, number: int, as_json: bool) -> None:
    """Make the jobs of a replay dead letters again, as they were, if they have not begun.

    \b
    Example:
      python -m supervisor dlq undo 3
    """
    from supervisor.cli.lettering import undo_replay

    undo_replay(number, as_json=as_json)


@dlq.command(short_help="List what was sent again, and how it fares.")
@takes_supervisor
@takes_json
@_takes_limit(20)
def replays(*, limit: int, as_json: bool) -> None:
    """List what was sent again, the newest first, and what became of it.

    \b
    Example:
      python -m supervisor dlq replays
    """
    from supervisor.cli.lettering import list_replays

    list_replays(limit, as_json=as_json)


@dlq.command(short_help="Write dead letters to a file.")
@takes_supervisor
@_takes_filter
@click.option("--limit", type=Whole(1), metavar="N", help="At most so many, the newest jobs first.")
@click.option(
    *("-o", "--output", "file"),
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file; without it they go to stdout.",
)
def export(*, file: Path | None, **said: Any) -> None:
    """Write dead letters as lines of JSON: bodies byte for byte, every attempt, all properties.

    \b
    Examples:
      python -m supervisor dlq export -o letters.ndjson
      python -m supervisor dlq export --older 30d | gzip > old.ndjson.gz
    """
    from supervisor.cli.lettering import export_letters, which

    export_letters(which(**said), file)


@dlq.command("import", short_help="Take in an exported file.")
@takes_supervisor
@takes_json
@click.argument("file", type=click.File("rb"))
def import_(*, file: BinaryIO, as_json: bool) -> None:
    """Make dead letters of the lines of FILE (- is stdin). Jobs that are known stay as they are.

    \b
    Examples:
      python -m supervisor dlq import letters.ndjson
      zcat old.ndjson.gz | python -m supervisor dlq import -
    """
    from supervisor.cli.lettering import import_letters

    import_letters(file, as_json=as_json)


@dlq.command(short_help="Throw dead letters away for good.")
@takes_supervisor
@takes_json
@_takes_which
@takes_yes
@_dry_run
def purge(*, yes: bool, as_json: bool, **said: Any) -> None:
    """Throw dead letters away for good, with their history. Asks first.

    \b
    Examples:
      python -m supervisor dlq purge --older 90d
      python -m supervisor dlq purge --group not_found-0a1b2c3d --yes
    """
    from supervisor.cli.lettering import purge_letters, which

    purge_letters(which(**said), is_sure=yes, as_json=as_json)
