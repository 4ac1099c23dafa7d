"""``adopt``: give the parked jobs of a supervisor that never comes back to those that are here."""

import click

from supervisor.cli.options import takes_config, takes_json


@click.command(short_help="Take over the jobs of a supervisor that never comes back.")
@takes_config
@click.argument("node")
@takes_json
def adopt(*, node: str, as_json: bool) -> None:
    """Move the parked jobs of the supervisor NODE back to their pools.

    A job that runs for long is no longer in its pool's queue: its supervisor keeps it in a queue of
    its own, supervisor.inflight.NODE, and takes it from there when it starts again. If its machine
    is gone for good, somebody else must take the jobs over: this command moves each to the private
    lane of its pool, QUEUE.priority, where any supervisor of that pool runs it.

    `doctor` lists such nodes. One that is alive is refused. The jobs begin anew, however far they
    were.

    \b
    Example:
      python -m supervisor doctor
      python -m supervisor adopt 3f9c1d2e7ab4
    """
    from supervisor.cli.adopting import adopt_jobs

    adopt_jobs(node, as_json=as_json)
