"""What ``adopt`` does, and what ``doctor`` says about nodes whose jobs nobody looks after."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from consumers.broker.port import Session
from consumers.broker.rabbitmq import RabbitBroker
from consumers.errors import BrokerError, OccupiedError
from supervisor import nodes
from supervisor.cli.checks import Answer, Level
from supervisor.cli.configured import settings
from supervisor.cli.exits import Complaint, ExitCode
from supervisor.cli.screen import print_json
from supervisor.config.rules import queues_of
from supervisor.config.settings import Settings
from supervisor.config.values import EMBEDDED
from supervisor.folders import NODE_ID

_PATIENCE = 60.0  # seconds for all of it

T = TypeVar("T")


def adopt_jobs(node: str, *, as_json: bool) -> None:
    """Move the jobs of a node back to their pools, and say how many went where."""
    found = settings()
    if found.broker == EMBEDDED:
        raise Complaint("broker: embedded parks no jobs; there is nothing to adopt")
    pools = [queues_of(pool) for pool in found.workers.values()]
    try:
        adoption = _visit(found.broker, lambda session: nodes.adopt(session, node, pools))
    except OccupiedError as error:
        message = f"node {node} is alive: stop its supervisor first, or leave its jobs to it"
        raise Complaint(message) from error
    except (BrokerError, ValueError, TimeoutError) as error:
        message = f"the broker was not reached, or not for long enough: {error}; try again"
        raise Complaint(message, ExitCode.NO_BROKER) from error
    if not adoption.is_known:
        message = f"no node {node} is known at this broker: `doctor` lists those with jobs"
        raise Complaint(message)
    _say(node, adoption, as_json=as_json)


def about_orphans(found: Settings) -> Iterator[Answer]:
    """Answer whether there are parked jobs that nobody looks after."""
    if found.broker == EMBEDDED:
        return
    try:
        orphans = _visit(found.broker, nodes.orphans)
    except (BrokerError, ValueError, TimeoutError):
        return  # what is wrong with the broker is said by others
    ours = found.state / NODE_ID
    own = ours.read_text().strip() if ours.exists() else ""
    for orphan in orphans:
        node, host = orphan.registration.node, orphan.registration.host
        since = f"{orphan.registration.since:%Y-%m-%d}"
        what = f"{orphan.ready} of node {node} ({host}, since {since}) wait, and it is not there"
        remedy = "start the supervisor: it takes them up again"
        if node != own:
            remedy = f"start it; if it never comes back: python -m supervisor adopt {node}"
        yield Answer(Level.WARN, "parked jobs", what, remedy)
    if not orphans:
        yield Answer(Level.OK, "parked jobs", "none without a supervisor")


def _say(node: str, adoption: nodes.Adoption, *, as_json: bool) -> None:
    if as_json:
        print_json({"node": node, "moved": dict(adoption.moved), "left": adoption.left})
        return
    if not adoption.moved:
        print(f"nothing is parked by node {node}")
    for lane, count in sorted(adoption.moved.items()):
        print(f"{count} moved to {lane}")
    if adoption.left:
        print(f"{adoption.left} are no jobs of ours and stay where they are")


def _visit(url: str, errand: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
    """Do something with a session of its own."""

    async def visit() -> T:
        session = await RabbitBroker(url).connect()
        try:
            return await errand(session)
        finally:
            await session.close()

    return asyncio.run(asyncio.wait_for(visit(), _PATIENCE))
