"""``events``: what happens, as it happens."""

import click

from supervisor.cli.completion import queues
from supervisor.cli.options import Whole, takes_json, takes_supervisor


@click.command(short_help="Follow what happens.")
@takes_supervisor
@takes_json
@click.option(
    "--queue",
    "queues",
    metavar="QUEUE",
    multiple=True,
    help="Only of this queue.",
    shell_complete=queues,
)
@click.option(
    "--name",
    "names",
    metavar="EVENT",
    multiple=True,
    help="Only events of this name, such as completed, failed or worker.*.",
)
@click.option("--job", "jobs", metavar="ID", multiple=True, help="Only of this job.")
@click.option(
    "--root", "roots", metavar="ID", multiple=True, help="Only of the chain that this job is of."
)
@click.option("--count", type=Whole(1), metavar="N", help="End after so many; else at Ctrl-C.")
def events(*, as_json: bool, count: int | None, **chosen: tuple[str, ...]) -> None:
    """Show what happens from now on, one line an event, until Ctrl-C or the supervisor stops.

    Options may be repeated. With --json each line is one JSON object, as docs/events.md has it.

    \b
    Examples:
      python -m supervisor events
      python -m supervisor events --name failed --name worker.*
      python -m supervisor events --root 7f3a
      python -m supervisor events --queue download_queue --json | jq -r '[.name, .id] | @tsv'
    """
    from supervisor.cli.following import follow
    from supervisor.desks.events import Wanted

    wanted = Wanted(**{about: frozenset(values) for about, values in chosen.items()})
    follow(wanted, count, as_json=as_json)
