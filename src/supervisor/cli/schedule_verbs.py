"""``schedule``: jobs that come by themselves, listed, added, paused, run now and removed."""

import click

from supervisor.cli.completion import pools
from supervisor.cli.options import Whole, takes_json, takes_supervisor, takes_yes

_MISSED = ("skip", "catch_up")


@click.group(short_help="Jobs that come by themselves.")
def schedule() -> None:
    """Have jobs come by themselves: by a cron line in a time zone, or every so many seconds.

    Schedules in supervisor.yaml are changed there; they too can be paused, resumed and run now.

    \b
    Examples:
      python -m supervisor schedule list
      python -m supervisor schedule add nightly cleanup --cron "0 3 * * *" --zone Europe/Lisbon
      python -m supervisor schedule run nightly
    """


@schedule.command("list", short_help="List schedules with their next runs.")
@takes_supervisor
@takes_json
def list_(*, as_json: bool) -> None:
    """List the schedules, when each runs next in its own time zone, and how its last job ended.

    \b
    Examples:
      python -m supervisor schedule list
      python -m supervisor schedule list --json | jq '.[] | {name, nextRuns, lastState}'
    """
    from supervisor.cli.scheduling import list_schedules

    list_schedules(as_json=as_json)


@schedule.command(short_help="Show one schedule.")
@takes_supervisor
@takes_json
@click.argument("name")
def show(*, name: str, as_json: bool) -> None:
    """Show one schedule: what it does, when it ran, and when it runs next.

    \b
    Example:
      python -m supervisor schedule show nightly
    """
    from supervisor.cli.scheduling import show_schedule

    show_schedule(name, as_json=as_json)


@schedule.command(short_help="Add a schedule.")
@takes_supervisor
@takes_json
@click.argument("name")
@click.argument("pool", shell_complete=pools)
@click.option("--cron", metavar="LINE", help="minute hour day month weekday, like '0 3 * * *'.")
@click.option("--every", metavar="TIME", help="The same time between runs: 30s, 10m, 1d.")
@click.option("--zone", metavar="ZONE", default="UTC", show_default=True, help="For --cron.")
@click.option("--data", metavar="JSON", default="{}", help="The data of its jobs, a JSON object.")
@click.option(
    "--then", multiple=True, metavar="POOL|JSON", help="What follows its jobs, as with publish."
)
@click.option(
    "--priority", metavar="LEVEL", default="normal", show_default=True, help="Of its jobs."
)
@click.option(
    "--missed",
    type=click.Choice(_MISSED),
    default="skip",
    show_default=True,
    help="What becomes of runs that passed while no supervisor ran.",
)
@click.option(
    "--at-most",
    type=Whole(1, 10_000),
    metavar="N",
    default=100,
    show_default=True,
    help="Missed runs to catch up with.",
)
@click.option("--replace", is_flag=True, help="Change the schedule of this name, if there is one.")
def add(*, as_json: bool, **said: str | int | tuple[str, ...] | None) -> None:
    """Add the schedule NAME, whose jobs are for the workers of POOL.

    \b
    Examples:
      python -m supervisor schedule add nightly cleanup --cron "0 3 * * *" --zone Europe/Lisbon
      python -m supervisor schedule add poll hooks --every 30s --data '{"url": "http://h/"}'
      python -m supervisor schedule add poll hooks --every 1m --replace
    """
    from supervisor.cli.scheduling import Wanted, add_schedule

    add_schedule(Wanted(**said), as_json=as_json)  # type: ignore[arg-type]  # as declared above


@schedule.command(short_help="Have a schedule not run.")
@takes_supervisor
@takes_json
@click.argument("name")
def pause(*, name: str, as_json: bool) -> None:
    """Have a schedule not run until it is resumed; what passes meanwhile is not missed.

    \b
    Example:
      python -m supervisor schedule pause nightly
    """
    from supervisor.cli.scheduling import pause_schedule

    pause_schedule(name, as_json=as_json)


@schedule.command(short_help="Have a paused schedule run again.")
@takes_supervisor
@takes_json
@click.argument("name")
def resume(*, name: str, as_json: bool) -> None:
    """Have a paused schedule run again, from its next moment on.

    \b
    Example:
      python -m supervisor schedule resume nightly
    """
    from supervisor.cli.scheduling import resume_schedule

    resume_schedule(name, as_json=as_json)


@schedule.command(short_help="Enter one job of a schedule now.")
@takes_supervisor
@takes_json
@click.argument("name")
def run(*, name: str, as_json: bool) -> None:
    """Enter one job of a schedule now, paused or not; its next moment stays.

    \b
    Example:
      python -m supervisor schedule run nightly
    """
    from supervisor.cli.scheduling import run_schedule

    run_schedule(name, as_json=as_json)


@schedule.command(short_help="Remove a schedule.")
@takes_supervisor
@takes_json
@takes_yes
@click.argument("name")
def remove(*, name: str, yes: bool, as_json: bool) -> None:
    """Remove a schedule; the jobs it entered stay.

    \b
    Example:
      python -m supervisor schedule remove nightly --yes
    """
    from supervisor.cli.scheduling import remove_schedule

    remove_schedule(name, is_sure=yes, as_json=as_json)
