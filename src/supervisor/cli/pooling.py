"""Changing how many workers a pool has, and which processes they are."""

import click

from supervisor.cli.asking import supervisor
from supervisor.cli.screen import print_json
from supervisor.client import quoted
from supervisor.desks.pools import Instances, PoolView, Restarted


def scale_pool(pool: str, instances: int, *, as_json: bool) -> None:
    """Have a pool be of so many workers, and say so."""
    path = f"/api/pools/{quoted(pool)}/instances"
    with supervisor() as client:
        found = client.ask("PUT", path, PoolView, body=Instances(instances))
    if as_json:
        print_json(found)
        return
    leaving = found.workers - found.instances
    leave = f"; {leaving} more leave when their jobs are done" if leaving > 0 else ""
    click.echo(f"pool {found.name} is of {_workers(found.instances)} now{leave}")


def restart_workers(name: str, *, as_json: bool) -> None:
    """Have workers replaced, and say which."""
    with supervisor() as client:
        found = client.ask("POST", f"/api/workers/{quoted(name)}/restart", Restarted)
    if as_json:
        print_json(found)
        return
    named = ", ".join(found.workers) or f"pool {name} has no workers; nothing"
    click.echo(f"{named} will be replaced, jobs in hand first")


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"
