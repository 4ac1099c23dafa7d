"""Jobs that come by themselves, by a supervisor that is killed, and jobs for a moment."""

import itertools
import time
from datetime import UTC, datetime, timedelta

import pytest

from supervisor.client import Client
from supervisor.desks.schedules import ScheduleView
from supervisor.ports import Order
from tests.journeys.conftest import Configured
from tests.support import processors
from tests.support.program import Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

TICKS = {"ticks": {"pool": "toy", "every": "1s", "missed": "catch_up", "data": {"noreply": True}}}
LATE = 3.0  # seconds that a loaded machine may add


def test_a_supervisor_that_is_killed_loses_no_moment_and_runs_none_twice(
    driver: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, driver, schedules=TICKS).start()
    program.wait_for_count("completed", 2)
    program.crash()

    program.start()
    program.wait_for_count("completed", program.count("completed") + 2)
    with Client(program.socket) as client:
        client.ask("POST", "/api/schedules/ticks/pause", ScheduleView)
    program.wait_until(lambda: not _unfinished(program), "all of its jobs to be done")

    moments = sorted(_moments(program))
    steps = {later - one for one, later in itertools.pairwise(moments)}
    assert steps == {timedelta(seconds=1)}
    # The kill may have come between a run and its ack, and while the next one began.
    assert 0 <= len(processors.runs(program.media)) - len(moments) <= 2


def test_a_job_runs_at_its_moment(driver: str, configured: Configured) -> None:
    program = configured({"toy": {}}, driver).start()
    due = datetime.fromtimestamp(time.time() + 2, UTC)  # noqa: TID251 - a moment as people say it

    with Client(program.socket) as client:
        client.submit(Order("toy", {"name": "at"}, run_at=due))
        client.submit(Order("toy", {"name": "delay"}, delay=2.0))
        client.submit(Order("toy", {"name": "past"}, run_at=due - timedelta(days=1)))
    program.wait_for_count("completed", 3)

    (at,), (delayed,), (past,) = (
        processors.runs(program.media, name=name) for name in ("at", "delay", "past")
    )
    assert 0 <= at.at - due.timestamp() < LATE
    assert delayed.at > due.timestamp() > past.at


def _unfinished(program: Program) -> list[tuple[object, ...]]:
    return program.ledger("SELECT id FROM jobs WHERE state != 'completed'")


def _moments(program: Program) -> list[datetime]:
    ids = program.ids("completed")
    return [datetime.fromisoformat(job_id.split(":", 2)[2]) for job_id in ids]
