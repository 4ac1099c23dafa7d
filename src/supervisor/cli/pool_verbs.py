"""``scale``, ``restart`` and ``work``: how many workers, fresh ones, and some for a while."""

from typing import Any

import click

from supervisor.cli.completion import pools, workers
from supervisor.cli.options import Whole, takes_json, takes_supervisor


@click.command(short_help="Have a pool be of so many workers.")
@takes_supervisor
@takes_json
@click.argument("pool", shell_complete=pools)
@click.argument("instances", metavar="N", type=Whole(0, 256))
def scale(*, pool: str, instances: int, as_json: bool) -> None:
    """Have POOL be of N workers, until the supervisor ends; the file keeps its own number.

    New ones start at once. Those above N take nothing new, finish their jobs and leave. 0 is
    allowed: the jobs wait.

    \b
    Examples:
      python -m supervisor scale download 4
      python -m supervisor scale preview 0
    """
    from supervisor.cli.pooling import scale_pool

    scale_pool(pool, instances, as_json=as_json)


@click.command(short_help="Replace a worker, or all of a pool.")
@takes_supervisor
@takes_json
@click.argument("name", metavar="WORKER|POOL", shell_complete=workers)
def restart(*, name: str, as_json: bool) -> None:
    """Replace a worker, or every worker of a pool, by a new process.

    Each takes nothing new and may finish its jobs within stop_grace; a worker that is down is
    started. Its incident has the cause operator.

    \b
    Examples:
      python -m supervisor restart download-1
      python -m supervisor restart download
    """
    from supervisor.cli.pooling import restart_workers

    restart_workers(name, as_json=as_json)


@click.command(short_help="Work a pool off, then end: for cron, CI and serverless.")
@takes_supervisor
@takes_json
@click.argument("pool", shell_complete=pools)
@click.option("--max-jobs", type=Whole(1), metavar="N", help="Begin at most N jobs.")
@click.option(
    "--max-seconds", metavar="TIME", help="Begin none after this time: 50, 50s, 10m; then leave."
)
@click.option("--until-empty", is_flag=True, help="End when the queue is empty: the default.")
@click.option(
    "--wait", "waits", is_flag=True, help="Wait for more instead, until a limit is reached."
)
@click.option(
    "--instances",
    type=Whole(1, 256),
    metavar="N",
    help="So many workers; else as the pool has in the file, or one.",
)
@click.pass_obj
def work(again: tuple[str, ...] | None, /, **options: Any) -> None:  # as declared above
    """Work off what waits for POOL and end, with a summary.

    Where a supervisor runs already, that one does it: a pool of its own with instances: 0 gets
    workers for as long as it takes, other pools' own workers are waited for.

    Exit codes: 0 all is well, 1 it could not be done, 3 the broker cannot be reached, 4 it is done
    and jobs have failed, 78 the configuration is wrong.

    \b
    Examples:
      python -m supervisor work email --until-empty
      python -m supervisor work email --max-jobs 100 --max-seconds 50 --json
      python -m supervisor work reports --wait --max-seconds 10m --instances 4
    """
    from supervisor.cli.working import Request, work_off

    is_until_empty, waits = options.pop("until_empty"), options.pop("waits")
    if is_until_empty and waits:
        raise click.UsageError("say either --until-empty or --wait, not both")
    work_off(Request(**options, until_empty=not waits), again)
