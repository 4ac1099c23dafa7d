"""``status``, ``workers``, ``jobs`` and ``show``: what a running supervisor knows."""

import click

from supervisor.cli.completion import pools
from supervisor.cli.options import Whole, takes_json, takes_supervisor

_STATES = ("pending", "delayed", "waiting", "active", "completed", "failed", "cancelled", "removed")
_SORTS = ("newest", "oldest")


@click.command(short_help="Show workers and queues.")
@takes_supervisor
@takes_json
@click.option("--watch", is_flag=True, help="Keep the table up to date until Ctrl-C.")
def status(*, as_json: bool, watch: bool) -> None:
    """Show every worker with its job in hand, every queue with its depths, and the broker.

    \b
    Examples:
      python -m supervisor status
      python -m supervisor status --watch
      python -m supervisor status --json | jq '.queues[] | {queue, ready, dead}'
    """
    from supervisor.cli.showing import show_status, watch_status

    if watch and as_json:
        message = "--watch draws a table; use --json without it"
        raise click.UsageError(message)
    if watch:
        watch_status()
    else:
        show_status(as_json=as_json)


@click.command(short_help="Show workers, those of a pool, or one with what befell it.")
@takes_supervisor
@takes_json
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "--limit",
    type=Whole(1, 1000),
    metavar="N",
    default=3,
    show_default=True,
    help="At most so many incidents of the worker NAME.",
)
def workers(*, as_json: bool, name: str | None, limit: int) -> None:
    """Show every worker; with the NAME of one, that one and its latest incidents.

    The NAME of a pool shows its workers alone.

    An incident is written whenever a worker is restarted: when, the cause in one word, why, how
    the process ended, which jobs it had in hand and, if it hung or crashed in C code, the stack it
    was in. The newest thousand are kept, also those of workers that are not there any more.

    \b
    Examples:
      python -m supervisor workers
      python -m supervisor workers download
      python -m supervisor workers download-1
      python -m supervisor workers download-1 --limit 20 --json | jq -r '.incidents[].stack'
    """
    from supervisor.cli.showing import list_workers, show_worker

    if name is None:
        list_workers(as_json=as_json)
    else:
        show_worker(name, limit, as_json=as_json)


@click.command(short_help="List jobs, newest first.")
@takes_supervisor
@takes_json
@click.option("--pool", metavar="POOL", help="Only jobs of this pool.", shell_complete=pools)
@click.option("--state", type=click.Choice(_STATES), help="Only jobs in this state.")
@click.option("--name", metavar="TYPE", help="Only jobs of this type.")
@click.option("--from", "sender", metavar="USER", help="Only jobs on behalf of this user.")
@click.option(
    "--since", metavar="MOMENT", help="Only jobs entered in the last 2h, or since a moment."
)
@click.option("--until", metavar="MOMENT", help="Only jobs entered over 2h ago, or until a moment.")
@click.option("--group", metavar="GROUP", help="Only failed jobs of this group of errors.")
@click.option("--root", metavar="ID", help="Only jobs of the chain that this job is of.")
@click.option("--parent", metavar="ID", help="Only jobs that follow this one.")
@click.option(
    "--sort", type=click.Choice(_SORTS), default=_SORTS[0], show_default=True, help="Which first."
)
@click.option(
    "--limit",
    type=Whole(1, 1000),
    metavar="N",
    default=20,
    show_default=True,
    help="At most so many.",
)
def jobs(*, as_json: bool, **said: str | int | None) -> None:
    """List jobs, newest first.

    \b
    Examples:
      python -m supervisor jobs
      python -m supervisor jobs --pool download --state failed
      python -m supervisor jobs --name email:send --since 2026-11-22T10:00:00Z --sort oldest
      python -m supervisor jobs --root 6f1d2a90 --state failed
    """
    from supervisor.cli.showing import Listing, list_jobs

    list_jobs(Listing(**said), as_json=as_json)  # type: ignore[arg-type]  # as declared above


@click.command(short_help="Show one job with its history.")
@takes_supervisor
@takes_json
@click.argument("job_id", metavar="ID")
def show(*, job_id: str, as_json: bool) -> None:
    """Show all that is known of one job: its data, its attempts, its result or its error.

    Of a job that others follow: how all of them stand, and the first fifty as a tree. The first
    characters of its id will do, four or more, if no other job's begins so. Long data is cut;
    --json has all of it.

    \b
    Example:
      python -m supervisor show 6f1d2a90c3b4
    """
    from supervisor.cli.showing import show_job

    show_job(job_id, as_json=as_json)
