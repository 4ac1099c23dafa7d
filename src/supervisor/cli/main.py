"""The command line: ``python -m supervisor ...``."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from supervisor.cli.adopt import adopt
from supervisor.cli.completion import VARIABLE, completion
from supervisor.cli.demo import demo
from supervisor.cli.doctor import doctor
from supervisor.cli.events import events
from supervisor.cli.exits import ExitCode, plainly_said
from supervisor.cli.job_verbs import cancel, priority, promote, remove, retry
from supervisor.cli.ledger_verbs import ledger
from supervisor.cli.letter_verbs import dlq
from supervisor.cli.logs import logs
from supervisor.cli.options import CONFIG_FILE, CONFIG_VARIABLE, remember_config, takes_role
from supervisor.cli.pool_verbs import restart, scale, work
from supervisor.cli.publish import publish
from supervisor.cli.queue_verbs import clean, drain, pause, queues, resume, retry_failed
from supervisor.cli.retry_verbs import retries
from supervisor.cli.run import check, run
from supervisor.cli.schedule_verbs import schedule
from supervisor.cli.version import DISTRIBUTION, installed, version
from supervisor.cli.views import jobs, show, status, workers

PROGRAM = "python -m supervisor"
_INTERRUPTED = 130  # 128 + SIGINT, as shells say it


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default=CONFIG_FILE,
    show_default=True,
    envvar=CONFIG_VARIABLE,
    show_envvar=True,
    callback=remember_config,
    expose_value=False,
    help="The configuration file.",
)
@takes_role
@click.option("--version", "wants_version", is_flag=True, help="Print the version.")
@click.pass_context
def cli(context: click.Context, *, wants_version: bool) -> None:
    """Run workers that consume queues, and look after them.

    Without a command the supervisor runs, as systemd starts it:

    \b
      python -m supervisor -c supervisor.yaml

    First steps:

    \b
      python -m supervisor demo       see it work, without installing a broker
      python -m supervisor doctor     see whether everything needed is here
      python -m supervisor status     see what a running supervisor does
    """
    if wants_version:
        click.echo(f"{DISTRIBUTION} {installed()}")
        context.exit(int(ExitCode.DONE))
    if context.invoked_subcommand is None:
        context.invoke(run)


for command in (run, check, demo, doctor, publish, status, workers, jobs, show, adopt, version):
    cli.add_command(command)
for command in (retry, cancel, remove, promote, priority):
    cli.add_command(command)
cli.add_command(ledger)
cli.add_command(logs)
cli.add_command(events)
for command in (scale, restart, work):
    cli.add_command(command)
for command in (schedule, retries, dlq):
    cli.add_command(command)
for command in (queues, pause, resume, drain, clean, retry_failed):
    cli.add_command(command)
cli.add_command(completion)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a letter shows a ?
    again = (sys.executable, "-m", "supervisor", *sys.argv[1:]) if arguments is None else None
    try:
        with plainly_said():
            code = cli.main(
                arguments,
                prog_name=PROGRAM,
                complete_var=VARIABLE,
                standalone_mode=False,
                obj=again,
            )
    except click.Abort:
        return _INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return code if isinstance(code, int) else int(ExitCode.DONE)
