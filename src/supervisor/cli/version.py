"""``version``: which supervisor this is."""

import click

from supervisor.cli.options import takes_json

DISTRIBUTION = "rabbit-supervisor"


@click.command(short_help="Print the version.")
@takes_json
def version(*, as_json: bool) -> None:
    """Print the version of the supervisor.

    \b
    Example:
      python -m supervisor version
    """
    click.echo(f'{{"version": "{installed()}"}}' if as_json else f"{DISTRIBUTION} {installed()}")


def installed() -> str:
    """Return the installed version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        return version_of(DISTRIBUTION)
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0 (not installed)"
