"""``run`` and ``check``: the supervisor itself, and whether its configuration is right."""

import os

import click

from supervisor.cli.exits import ExitCode, finish
from supervisor.cli.options import takes_config, takes_role


@click.command(short_help="Run the supervisor (also without any command).")
@takes_config
@takes_role
@click.pass_obj
def run(again: tuple[str, ...] | None) -> None:
    """Run the supervisor until it is told to stop.

    Ctrl-C or SIGTERM lets the jobs in hand end first; a second one stops at once.

    With --role api it takes jobs and steers, without workers; with --role worker it works, without
    the HTTP address. Both as separate services need RabbitMQ between them.

    \b
    Examples:
      python -m supervisor -c supervisor.yaml
      python -m supervisor -c supervisor.yaml run --role api
    """
    from supervisor import guard

    if again is not None and guard.is_wanted():
        guard.take_over(again)
    # Before anything is started that would inherit it.
    notifier = guard.service_manager(os.environ)
    from supervisor.app import run as run_supervisor
    from supervisor.cli.configured import runnable
    from supervisor.cli.options import config_path

    found = runnable()
    for name in found.private:
        # Workers are told what they need; their tools, which open what strangers send, nothing.
        os.environ.pop(name, None)
    done = run_supervisor(found.settings, config_path=config_path(), notifier=notifier)
    finish(ExitCode(done))


@click.command(short_help="Say whether the configuration is right, and show it.")
@takes_config
@takes_role
def check() -> None:
    """Say whether the configuration is right, and show it with every default filled in.

    Secrets are masked. Processors are imported in a process of their own. All mistakes are named
    at once, with file, line and key; the exit code is then 78.

    \b
    Example:
      python -m supervisor check -c supervisor.yaml
    """
    from supervisor.cli.configured import runnable
    from supervisor.config.masking import masked

    found = runnable()
    click.echo(f"# {found.file} is right. This is what it amounts to:")
    click.echo(masked(found.settings), nl=False)
