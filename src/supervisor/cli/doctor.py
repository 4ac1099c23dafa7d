"""``doctor``: whether everything the supervisor needs is here."""

import click

from supervisor.cli.options import takes_config, takes_json


@click.command(short_help="Look whether everything needed is here.")
@takes_config
@takes_json
def doctor(*, as_json: bool) -> None:
    """Look whether everything the supervisor needs is here, and say what to do about what is not.

    The exit code is 1 when something must be put right.

    \b
    Example:
      python -m supervisor doctor
    """
    from supervisor.cli.examination import examine

    examine(as_json=as_json)
