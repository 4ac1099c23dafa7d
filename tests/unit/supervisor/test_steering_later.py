"""Steering of jobs that are to be sent later: those of a replay whose turn has not come."""

from consumers.desk import Run
from consumers.jobs import Priority
from supervisor.core.records import JobState
from tests.support.clocks import settle
from tests.support.steering import Bridge, bridge

__all__ = ["bridge"]


async def test_a_job_that_is_to_be_sent_later_keeps_its_turn_with_another_priority(
    bridge: Bridge,
) -> None:
    later = await bridge.wait_for_its_turn(delay=60.0)

    record = await bridge.pilot.reprioritize("j1", "high")
    await settle()

    assert (record.state, record.due_at) == (JobState.PENDING, later)
    assert not bridge.broker.published
    bridge.office.clock.advance(60.0)
    bridge.poster.poke()
    await bridge.posted()
    assert bridge.newest().message.properties.headers["x-job-priority"] == Priority.HIGH.word


async def test_a_job_that_is_to_be_sent_later_is_sent_when_it_is_promoted(bridge: Bridge) -> None:
    await bridge.wait_for_its_turn(delay=60.0)

    await bridge.pilot.promote("j1")
    await bridge.posted()

    assert bridge.newest().delay == 0.0
    assert isinstance(await bridge.run(bridge.claim_of(bridge.newest())), Run)


async def test_a_job_that_is_to_be_sent_later_begins_no_earlier(bridge: Bridge) -> None:
    later = await bridge.wait_for_its_turn(delay=60.0)

    status = await bridge.pilot.status("j1")

    assert status.place is not None
    assert status.place.starts_at == later
