"""``retry``, ``cancel``, ``remove``, ``promote``, ``priority``: what can be done with a job."""

import click

from supervisor.cli.options import takes_json, takes_supervisor, takes_yes

_ids = click.argument("job_ids", metavar="ID...", nargs=-1, required=True)


@click.command(short_help="Run failed or cancelled jobs again.")
@takes_supervisor
@takes_json
@_ids
def retry(*, job_ids: tuple[str, ...], as_json: bool) -> None:
    """Run failed or cancelled jobs again, with a clean count of attempts.

    What they did before stays in their history. The start of an ID will do, if no other begins so.
    What came of a job and failed is retried by itself: `jobs --root ID --state failed` lists it.

    \b
    Examples:
      python -m supervisor retry 7f3a
      python -m supervisor retry $(python -m supervisor jobs --state failed --json | jq -r '.[].id')
    """
    from supervisor.cli.steering import Verb, steer

    steer(Verb.RETRY, job_ids, as_json=as_json)


@click.command(short_help="Cancel jobs that wait or run.")
@takes_supervisor
@takes_json
@_ids
def cancel(*, job_ids: tuple[str, ...], as_json: bool) -> None:
    """Cancel jobs: what waits never runs, what runs is asked to stop, then stopped.

    A running job has `cancel_grace` (10s) to end by itself. `retry` runs a cancelled job after all.
    Of a completed job, all that came of it (its chain) and has not ended is cancelled.

    \b
    Example:
      python -m supervisor cancel 7f3a
    """
    from supervisor.cli.steering import Verb, steer

    steer(Verb.CANCEL, job_ids, as_json=as_json)


@click.command(short_help="Remove jobs that wait or are over.")
@takes_supervisor
@takes_json
@takes_yes
@_ids
def remove(*, job_ids: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Remove jobs: what waits never runs; what is over is forgotten, with its history.

    All that came of a job (its chain) goes with it; what of that is running is cancelled and
    removed. Only a job that is named here and is running itself must be cancelled first.

    \b
    Example:
      python -m supervisor remove 7f3a --yes
    """
    from supervisor.cli.steering import remove_jobs

    remove_jobs(job_ids, is_sure=yes, as_json=as_json)


@click.command(short_help="Run delayed jobs now.")
@takes_supervisor
@takes_json
@_ids
def promote(*, job_ids: tuple[str, ...], as_json: bool) -> None:
    """Run delayed jobs now, also those that wait for their next attempt, or to be sent at a rate.

    \b
    Example:
      python -m supervisor promote 7f3a
    """
    from supervisor.cli.steering import Verb, steer

    steer(Verb.PROMOTE, job_ids, as_json=as_json)


@click.command(short_help="Make a waiting job more urgent, or less.")
@takes_supervisor
@takes_json
@click.argument("job_id", metavar="ID")
@click.argument("level")
def priority(*, job_id: str, level: str, as_json: bool) -> None:
    """Make a waiting job more urgent, or less.

    LEVEL is critical, high, normal, low or background (or 1 to 5, or a number of the pool's own
    priority_map). The job goes behind those that
    have that level already.

    \b
    Example:
      python -m supervisor priority 7f3a high
    """
    from supervisor.cli.steering import reprioritize

    reprioritize(job_id, level, as_json=as_json)
