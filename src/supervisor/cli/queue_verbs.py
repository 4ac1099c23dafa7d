"""``queues``, ``pause``, ``resume``, ``drain``, ``clean``, ``retry-failed``: queues, steered."""

import click

from supervisor.cli.completion import pools
from supervisor.cli.options import Whole, takes_json, takes_supervisor, takes_yes

_FINISHED = ("completed", "failed", "cancelled", "removed")


def _takes_pool_or_all(command: click.decorators.FC) -> click.decorators.FC:
    command = click.option("--all", "of_all", is_flag=True, help="All pools.")(command)
    return click.argument("pool", metavar="[POOL]", required=False, shell_complete=pools)(command)


def _one(pool: str | None, *, of_all: bool) -> str | None:
    """Return the pool that is meant, None for all. Raises UsageError unless it is clear."""
    if (pool is None) is not of_all:
        message = "name one POOL, or say --all"
        raise click.UsageError(message)
    return pool


@click.command(short_help="Show what is in the queues.")
@takes_supervisor
@takes_json
@click.argument("pool", metavar="[POOL]", required=False, shell_complete=pools)
def queues(*, pool: str | None, as_json: bool) -> None:
    """Show what is in every queue; with a POOL, its jobs by state and how long the oldest waits.

    \b
    Examples:
      python -m supervisor queues
      python -m supervisor queues download
      python -m supervisor queues --json | jq '.[] | select(.paused) | .queue'
    """
    from supervisor.cli.queueing import show_queue, show_queues

    if pool is None:
        show_queues(as_json=as_json)
    else:
        show_queue(pool, as_json=as_json)


@click.command(short_help="Take nothing new from a queue.")
@takes_supervisor
@takes_json
@_takes_pool_or_all
@click.option("--why", default="", help="In words, for those who find it paused.")
def pause(*, pool: str | None, of_all: bool, why: str, as_json: bool) -> None:
    """Take nothing new from the queue of POOL until it is resumed; jobs in hand go on.

    It lasts over restarts, and on every machine with the same ledger.

    \b
    Examples:
      python -m supervisor pause download --why "the site asked us to"
      python -m supervisor pause --all
    """
    from supervisor.cli.queueing import pause_queues

    pause_queues(_one(pool, of_all=of_all), why, as_json=as_json)


@click.command(short_help="Consume a paused queue again.")
@takes_supervisor
@takes_json
@_takes_pool_or_all
def resume(*, pool: str | None, of_all: bool, as_json: bool) -> None:
    """Consume the queue of POOL again.

    \b
    Examples:
      python -m supervisor resume download
      python -m supervisor resume --all
    """
    from supervisor.cli.queueing import resume_queues

    resume_queues(_one(pool, of_all=of_all), as_json=as_json)


@click.command(short_help="Remove what waits in a queue.")
@takes_supervisor
@takes_json
@click.argument("pool", shell_complete=pools)
@click.option("--delayed", is_flag=True, help="Also what is to run later.")
@takes_yes
def drain(*, pool: str, delayed: bool, yes: bool, as_json: bool) -> None:
    """Remove the jobs that wait in the queue of POOL. Jobs in hand go on; nobody is told.

    \b
    Examples:
      python -m supervisor drain download
      python -m supervisor drain download --delayed --yes
    """
    from supervisor.cli.queueing import drain_queue

    drain_queue(pool, delayed=delayed, is_sure=yes, as_json=as_json)


@click.command(short_help="Remove finished jobs for good.")
@takes_supervisor
@takes_json
@click.argument("pool", shell_complete=pools)
@click.option(
    "--state", type=click.Choice(_FINISHED), required=True, help="How the jobs have ended."
)
@click.option(
    "--older", metavar="TIME", default="1d", show_default=True, help="Since when: 2h, 7d."
)
@click.option(
    "--limit",
    type=Whole(1),
    metavar="N",
    default=1_000,
    show_default=True,
    help="At most so many.",
)
@takes_yes
def clean(*, pool: str, as_json: bool, yes: bool, **said: str | int) -> None:
    """Remove finished jobs of POOL for good, the oldest first: their attempts, lines and notices.

    A job that is gone is not known any more: published again under the same id, it runs again.

    \b
    Examples:
      python -m supervisor clean download --state completed --older 7d --limit 10000
      python -m supervisor clean download --state failed --older 30d --yes
    """
    from supervisor.cli.queueing import Cleaning, clean_queue

    wanted = Cleaning(**said)  # type: ignore[arg-type]  # as declared above
    clean_queue(pool, wanted, is_sure=yes, as_json=as_json)


@click.command("retry-failed", short_help="Have failed jobs run again.")
@takes_supervisor
@takes_json
@click.argument("pool", shell_complete=pools)
@click.option("--older", metavar="TIME", help="Only those that failed longer ago: 10m, 2h, 1d.")
@click.option("--newer", metavar="TIME", help="Only those that failed since then.")
@click.option(
    "--limit", type=Whole(1), metavar="N", help="At most so many, those that failed first."
)
@click.option("--rate", metavar="RATE", help="So many in which time: 10/s, 100/min.")
@click.option("--group", metavar="GROUP", help="Only those of this group of errors.")
def retry_failed(*, pool: str, as_json: bool, **said: str | int | None) -> None:
    """Have failed jobs of POOL run again, with a clean count of attempts.

    \b
    Examples:
      python -m supervisor retry-failed download --newer 2h
      python -m supervisor retry-failed download --rate 10/s --limit 500
    """
    from supervisor.cli.queueing import Retrying, retry_queue

    retry_queue(pool, Retrying(**said), as_json=as_json)  # type: ignore[arg-type]  # as declared
