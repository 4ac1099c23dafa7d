"""``retries``: after how many attempts the jobs of a pool end."""

import click

from supervisor.cli.completion import pools
from supervisor.cli.options import takes_json, takes_supervisor


@click.command(short_help="Show after how many attempts jobs end.")
@takes_supervisor
@takes_json
@click.argument("pool", shell_complete=pools)
def retries(*, pool: str, as_json: bool) -> None:
    """Show how many jobs of POOL ended after 1, 2, 3 ... attempts, and who waits for which.

    It counts the jobs that the ledger keeps. What does not end in the first attempt costs time;
    what ends in the last one may need more of them, or is not worth so many.

    \b
    Examples:
      python -m supervisor retries download
      python -m supervisor retries download --json | jq '.rows[] | select(.attempts > 1)'
    """
    from supervisor.cli.retrying import show_retries

    show_retries(pool, as_json=as_json)
