"""Jobs that come by themselves, by a supervisor that is killed, and jobs for a moment."""

import itertools
import random
import secrets
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from supervisor.client import Client
from supervisor.desks.schedules import ScheduleView
from supervisor.ports import Order
from tests.journeys.conftest import Configured
from tests.support import processors
from tests.support.program import Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

KILLS = 2
EVERY_SECOND = {"pool": "toy", "missed": "catch_up", "data": {"noreply": True}}
TICKS = {
    "one": {**EVERY_SECOND, "every": "1s"},
    "two": {**EVERY_SECOND, "every": "1s"},
    "three": {**EVERY_SECOND, "cron": "* * * * * *"},
}
LATE = 3.0  # seconds that a loaded machine may add


@pytest.mark.invariant(1)
@pytest.mark.timeout(120)
def test_a_supervisor_that_is_killed_at_any_instant_loses_no_moment_and_runs_none_twice(
    driver: str, configured: Configured
) -> None:
    seed = secrets.randbelow(10**6)
    dice = random.Random(seed)  # noqa: S311 - any instants will do
    program = configured({"toy": {}}, driver, schedules=TICKS)
    for _ in range(KILLS):
        program.start()
        program.crash(after=dice.uniform(0.0, 1.2))  # the moments are a second apart
    program.start()
    done = program.count("completed")
    program.wait_for_count("completed", done + len(TICKS))
    with Client(program.socket) as client:
        for name in TICKS:
            client.ask("POST", f"/api/schedules/{name}/pause", ScheduleView)
    program.wait_until(lambda: not _unfinished(program), "all of its jobs to be done")

    shown = f"seed {seed}"
    moments = _moments(program)
    for name in TICKS:
        steps = {later - one for one, later in itertools.pairwise(sorted(moments[name]))}
        assert steps == {timedelta(seconds=1)}, shown
    # A kill may come between a run and its ack, and while the next one began.
    entered = sum(len(each) for each in moments.values())
    assert 0 <= len(processors.runs(program.media)) - entered <= 2 * KILLS, shown


def test_a_job_runs_at_its_moment(driver: str, configured: Configured) -> None:
    program = configured({"toy": {}}, driver).start()
    due = datetime.fromtimestamp(time.time() + 2, UTC)  # noqa: TID251 - a moment as people say it

    with Client(program.socket) as client:
        client.submit(Order("toy", {"name": "past"}, run_at=due - timedelta(days=1)))
        client.submit(Order("toy", {"name": "at"}, run_at=due))
        client.submit(Order("toy", {"name": "delay"}, delay=2.0))
    program.wait_for_count("completed", 3)

    (at,), (delayed,), (past,) = (
        processors.runs(program.media, name=name) for name in ("at", "delay", "past")
    )
    assert 0 <= at.at - due.timestamp() < LATE
    assert delayed.at > max(due.timestamp(), past.at)


def _unfinished(program: Program) -> list[tuple[object, ...]]:
    return program.ledger("SELECT id FROM jobs WHERE state != 'completed'")


def _moments(program: Program) -> dict[str, list[datetime]]:
    """Return when each schedule ran."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for job_id in program.ids("completed"):
        _, name, moment = job_id.split(":", 2)
        found[name].append(datetime.fromisoformat(moment))
    return found
