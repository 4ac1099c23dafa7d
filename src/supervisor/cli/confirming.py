"""Asking whether somebody is sure, before something is destroyed."""

import sys

import click


def confirm(what: str, *, is_sure: bool) -> None:
    """Return when somebody is sure: by ``--yes``, or by saying so.

    Raises:
        UsageError: there is nobody to ask.
        Abort: they are not.
    """
    if is_sure:
        return
    if not sys.stdin.isatty():
        message = f"to {what} needs --yes where there is no terminal to ask on"
        raise click.UsageError(message)
    click.confirm(f"{what}?", abort=True, err=True)
