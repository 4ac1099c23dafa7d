"""``events``: what happens, as it happens."""

import click

from supervisor.cli.options import takes_json, takes_supervisor


@click.command(short_help="Follow what happens.")
@takes_supervisor
@takes_json
@click.option("--queue", "queues", metavar="QUEUE", multiple=True, help="Only of this queue.")
@click.option(
    "--name",
    "names",
    metavar="EVENT",
    multiple=True,
    help="Only events of this name, such as completed, failed or worker.*.",
)
@click.option("--job", "jobs", metavar="ID", multiple=True, help="Only of this job.")
@click.option(
    "--count", type=click.IntRange(1), default=None, help="End after so many; else at Ctrl-C."
)
def events(
    *,
    as_json: bool,
    queues: tuple[str, ...],
    names: tuple[str, ...],
    jobs: tuple[str, ...],
    count: int | None,
) -> None:
    """Show what happens from now on, one line an event, until Ctrl-C or the supervisor stops.

    Options may be repeated. With --json each line is one JSON object, as docs/events.md has it.

    \b
    Examples:
      python -m supervisor events
      python -m supervisor events --name failed --name worker.*
      python -m supervisor events --queue download_queue --json | jq -r '[.name, .id] | @tsv'
    """
    from supervisor.cli.following import follow
    from supervisor.desks.events import Wanted

    follow(Wanted(frozenset(queues), frozenset(names), frozenset(jobs)), count, as_json=as_json)
