"""Changing how many workers a pool has, and which processes they are."""

import click

from supervisor.cli.asking import supervisor
from supervisor.cli.exits import Complaint
from supervisor.cli.screen import print_json
from supervisor.client import Client, quoted
from supervisor.config.mistakes import did_you_mean
from supervisor.desks.pools import Instances, PoolView, Restarted
from supervisor.ports import UnknownWorkerError


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
        found = _restarted(client, name)
    if as_json:
        print_json(found)
        return
    named = ", ".join(found.workers) or f"pool {name} has no workers; nothing"
    click.echo(f"{named} will be replaced, jobs in hand first")


def _restarted(client: Client, name: str) -> Restarted:
    """Have it done to the worker of that name or, if there is none, to the pool."""
    try:
        return client.ask("POST", f"/api/workers/{quoted(name)}/restart", Restarted)
    except UnknownWorkerError:
        pools = [pool.name for pool in client.ask("GET", "/api/pools", tuple[PoolView, ...])]
        if name not in pools:
            workers = [worker.id for worker in client.status().workers]
            hint = did_you_mean(name, (*pools, *workers))
            message = f"there is no worker and no pool {name!r}; {hint}"
            raise Complaint(message) from None
    return client.ask("POST", f"/api/pools/{quoted(name)}/restart", Restarted)


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"
