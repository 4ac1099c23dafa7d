"""``status``, ``jobs`` and ``show``: what a running supervisor knows."""

import click

from supervisor.cli.options import takes_config, takes_json

_STATES = ("pending", "delayed", "waiting", "active", "completed", "failed", "cancelled", "removed")


@click.command(short_help="Show workers and queues.")
@takes_config
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


@click.command(short_help="List jobs, newest first.")
@takes_config
@takes_json
@click.option("--pool", metavar="POOL", help="Only jobs of this pool.")
@click.option("--state", type=click.Choice(_STATES), help="Only jobs in this state.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many."
)
def jobs(*, as_json: bool, pool: str | None, state: str | None, limit: int) -> None:
    """List jobs, newest first.

    \b
    Examples:
      python -m supervisor jobs
      python -m supervisor jobs --pool download --state failed
    """
    from supervisor.cli.showing import list_jobs
    from supervisor.core.records import JobFilter, JobState

    wanted = JobFilter(pool=pool, state=JobState(state) if state else None, limit=limit)
    list_jobs(wanted, as_json=as_json)


@click.command(short_help="Show one job with its history.")
@takes_config
@takes_json
@click.argument("job_id", metavar="ID")
def show(*, job_id: str, as_json: bool) -> None:
    """Show all that is known of one job: its data, its attempts, its result or its error.

    The first characters of its id will do, four or more, if no other job's begins so. Long data is
    cut; --json has all of it.

    \b
    Example:
      python -m supervisor show 6f1d2a90c3b4
    """
    from supervisor.cli.showing import show_job

    show_job(job_id, as_json=as_json)
