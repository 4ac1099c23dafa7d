"""Steering: what people wish of a job is done once, whatever the job does in that instant."""

import asyncio

import msgspec
import pytest

from consumers.desk import Drop, Run
from consumers.jobs import Priority
from supervisor.core.events import CancelIgnored
from supervisor.core.records import Charge, JobState
from supervisor.ports import BadOrderError, UnknownJobError, WrongStateError
from supervisor.steering import MARGIN
from tests.support.clocks import settle
from tests.support.offices import FIRST, SECOND, a_claim, a_letter, a_result, an_error
from tests.support.sessions import QUEUES
from tests.support.steering import GRACE, Bridge, bridge
from workers import messages

__all__ = ["bridge"]

KEY = (QUEUES.public, "j1")


def priority_of(published: object) -> object:
    return published.message.properties.headers.get("x-job-priority")  # type: ignore[attr-defined]


# --- jobs that wait ---


async def test_a_number_means_what_the_jobs_pool_says(bridge: Bridge) -> None:
    bridge.scales["download"] = {-5: Priority.CRITICAL}
    await bridge.enter()

    record = await bridge.pilot.reprioritize("j1", -5)

    assert record.priority is Priority.CRITICAL
    with pytest.raises(BadOrderError, match="priority_map"):
        await bridge.pilot.reprioritize("j1", 1)


@pytest.mark.invariant(15)
async def test_a_cancelled_job_never_runs_when_its_message_comes(bridge: Bridge) -> None:
    await bridge.enter()

    record = await bridge.pilot.cancel("j1")
    verdict = await bridge.run()

    assert record.state is JobState.CANCELLED
    assert verdict == Drop("j1", "cancelled")
    assert bridge.office.told == ["waiting", "cancelled"]


@pytest.mark.invariant(15)
async def test_a_removed_job_never_runs_when_its_message_comes(bridge: Bridge) -> None:
    await bridge.enter(delay=60.0)

    record = await bridge.pilot.remove("j1")
    verdict = await bridge.run()

    assert record.state is JobState.REMOVED
    assert verdict == Drop("j1", "removed")
    assert bridge.office.told == ["delayed", "removed"]


async def test_a_promoted_job_is_published_at_once_and_its_first_copy_dropped(
    bridge: Bridge,
) -> None:
    await bridge.enter(delay=60.0)

    await bridge.pilot.promote("j1")
    await bridge.posted()
    promoted = bridge.newest()
    verdict = await bridge.run(bridge.claim_of(promoted))
    await bridge.office.clerk.completed(a_result())
    late = await bridge.office.clerk.claim(SECOND, a_claim())

    assert (promoted.queue, promoted.delay) == (QUEUES.priority, 0.0)
    assert isinstance(verdict, Run)
    assert late == Drop("j1", "settled")


async def test_another_priority_travels_with_the_next_copy(bridge: Bridge) -> None:
    await bridge.enter(delay=60.0)
    bridge.office.clock.advance(20.0)

    record = await bridge.pilot.reprioritize("j1", "critical")
    await bridge.posted()

    assert record.priority is Priority.CRITICAL
    assert (priority_of(bridge.newest()), bridge.newest().delay) == ("critical", 40.0)


async def test_a_copy_that_is_met_before_the_pending_one_is_stored_is_dropped(
    bridge: Bridge,
) -> None:
    await bridge.enter()
    bridge.session.open.clear()  # the next copy is not confirmed yet

    await bridge.pilot.reprioritize("j1", "high")
    verdict = await bridge.run()
    bridge.session.open.set()
    await bridge.posted()

    assert verdict == Drop("j1", "stale")
    assert isinstance(await bridge.run(bridge.claim_of(bridge.newest())), Run)


async def test_a_wish_granted_before_changes_nothing_more(bridge: Bridge) -> None:
    await bridge.enter()
    for _ in range(2):
        await bridge.pilot.reprioritize("j1", "high")
        await bridge.posted()
        await bridge.pilot.promote("j1")
        await bridge.pilot.retry("j1")
    published = len(bridge.broker.published)
    for _ in range(2):
        await bridge.pilot.cancel("j1")

    assert published == 2
    assert (await bridge.office.record()).seq == 1
    assert bridge.office.told.count("cancelled") == 1


# --- jobs that are over ---


async def test_a_failed_job_runs_again_with_a_clean_count_and_its_history(bridge: Bridge) -> None:
    await bridge.enter()
    await bridge.run()
    await bridge.office.clerk.failed(an_error())
    await bridge.fail()
    bridge.office.clerk.settlements.hear(FIRST, messages.Settled(*KEY, has_run=True))

    record = await bridge.pilot.retry("j1")
    await bridge.posted()
    copy = bridge.newest()
    verdict = await bridge.run(bridge.claim_of(copy))

    assert (record.attempts, record.error, len(record.history)) == (0, None, 1)
    assert verdict == Run("j1", attempts=0, seq=1)
    headers = copy.message.properties.headers
    assert {name for name in headers if name.startswith("x-job-error")} == set()
    assert headers["x-job-attempts"] == 0


async def test_a_job_that_took_workers_down_still_runs_alone_when_it_is_retried(
    bridge: Bridge,
) -> None:
    await bridge.enter()
    await bridge.run()
    await bridge.office.clerk.blamed(FIRST[0], [KEY], "killed by SIGSEGV", Charge.CRASH)
    await bridge.fail()

    await bridge.pilot.retry("j1")
    await bridge.posted()
    verdict = await bridge.run(bridge.claim_of(bridge.newest()))

    assert verdict == Run("j1", attempts=0, seq=1, alone=True)
    assert (await bridge.office.record()).crashes == 0


@pytest.mark.invariant(15)
async def test_the_first_message_of_a_cancelled_job_is_dropped_though_it_was_retried(
    bridge: Bridge,
) -> None:
    await bridge.enter()
    await bridge.pilot.cancel("j1")

    await bridge.pilot.retry("j1")
    await bridge.posted()
    first = await bridge.run()
    second = await bridge.run(bridge.claim_of(bridge.newest()))

    assert first == Drop("j1", "stale")
    assert isinstance(second, Run)


async def test_a_letter_that_comes_twice_does_not_bury_a_job_that_was_retried(
    bridge: Bridge,
) -> None:
    await bridge.enter()
    await bridge.fail()

    await bridge.pilot.retry("j1")
    await bridge.fail()

    assert (await bridge.office.record()).state in {JobState.PENDING, JobState.WAITING}


async def test_a_finished_job_is_forgotten_with_all_its_history(bridge: Bridge) -> None:
    await bridge.enter()
    await bridge.run()
    await bridge.office.clerk.completed(a_result())
    bridge.office.clerk.settlements.hear(FIRST, messages.Settled(*KEY, has_run=True))

    await bridge.pilot.remove("j1")

    with pytest.raises(UnknownJobError):
        await bridge.pilot.status("j1")


@pytest.mark.invariant(15)
async def test_of_a_removed_job_enough_stays_to_drop_a_copy_that_still_comes(
    bridge: Bridge,
) -> None:
    await bridge.enter()
    await bridge.pilot.cancel("j1")

    await bridge.pilot.remove("j1")
    record = await bridge.office.record()

    assert (record.state, record.data) == (JobState.REMOVED, {})
    assert await bridge.run() == Drop("j1", "removed")


async def test_what_a_state_does_not_allow_is_refused_with_what_does(bridge: Bridge) -> None:
    await bridge.enter()
    await bridge.run()

    for wish in (bridge.pilot.remove("j1"), bridge.pilot.reprioritize("j1", "high")):
        with pytest.raises(WrongStateError, match="job j1 is running: "):
            await wish
    with pytest.raises(BadOrderError, match="priority: must be one of critical"):
        await bridge.pilot.reprioritize("j1", "urgent")
    with pytest.raises(UnknownJobError):
        await bridge.pilot.cancel("another")


# --- jobs that run ---


async def test_a_running_job_is_asked_to_stop_and_is_cancelled_when_it_does(
    bridge: Bridge,
) -> None:
    await bridge.enter()
    await bridge.run()

    cancelling = asyncio.ensure_future(bridge.pilot.cancel("j1"))
    await bridge.line.next()
    bridge_order = bridge.office.clerk.failed(an_error(cancelled=True))
    await bridge_order
    record = await cancelling

    assert record.state is JobState.CANCELLED
    assert bridge.office.told == ["waiting", "cancelled"]
    assert len(bridge.inbox._events) == 0


@pytest.mark.invariant(15)
async def test_the_process_of_a_job_that_does_not_stop_is_ended_once_it_is_written(
    bridge: Bridge,
) -> None:
    await bridge.enter()
    await bridge.run()
    cancelling = asyncio.ensure_future(bridge.pilot.cancel("j1"))
    order = await bridge.line.next()
    await bridge.office.clock.move(GRACE + MARGIN)

    event = await bridge.event()
    state = (await bridge.office.record()).state
    await bridge.office.clerk.settlements.released(FIRST)
    record = await cancelling
    comes_again = await bridge.office.clerk.claim(SECOND, a_claim(redelivered=True))

    assert order == messages.Cancel(*KEY, seq=0, grace=GRACE)
    assert event == CancelIgnored(*FIRST, *KEY)
    assert state is record.state is JobState.CANCELLED
    assert comes_again == Drop("j1", "cancelled")


async def test_a_job_that_completes_while_it_is_cancelled_is_completed(bridge: Bridge) -> None:
    await bridge.enter()
    await bridge.run()
    cancelling = asyncio.ensure_future(bridge.pilot.cancel("j1"))
    await bridge.line.next()

    await bridge.office.clerk.completed(a_result())

    with pytest.raises(WrongStateError, match="job j1 completed before it could be cancelled"):
        await cancelling
    assert (await bridge.office.record()).state is JobState.COMPLETED


@pytest.mark.parametrize("end", ["retrying", "crashed", "given back"])
@pytest.mark.invariant(15)
async def test_a_job_whose_run_ends_without_an_outcome_while_it_is_cancelled_is_cancelled(
    bridge: Bridge, end: str
) -> None:
    await bridge.enter()
    await bridge.run()
    cancelling = asyncio.ensure_future(bridge.pilot.cancel("j1"))
    await bridge.line.next()
    comes_again = asyncio.ensure_future(
        bridge.office.clerk.claim(SECOND, a_claim(redelivered=True))
    )

    match end:
        case "retrying":
            await bridge.office.clerk.failed(an_error(retry=messages.Retrying(1.0)))
        case "crashed":
            await bridge.office.clerk.blamed(FIRST[0], [KEY], "killed", Charge.CRASH)
        case _:
            await bridge.office.clerk.settlements.released(FIRST)

    assert (await cancelling).state is JobState.CANCELLED
    assert isinstance(await comes_again, Drop)


@pytest.mark.invariant(4)
async def test_a_claim_waits_while_its_job_is_steered_and_sees_what_came_of_it(
    bridge: Bridge,
) -> None:
    await bridge.enter()
    async with bridge.office.clerk.book.steering(KEY):
        claiming = asyncio.ensure_future(bridge.office.clerk.claim(FIRST, a_claim()))
        waits = await bridge.office.stays_waiting(claiming)
        await bridge.office.ledger.cancel(*KEY)

    assert waits
    assert await claiming == Drop("j1", "cancelled")


@pytest.mark.invariant(4)
async def test_a_job_that_was_looked_up_before_it_was_steered_is_looked_up_again(
    bridge: Bridge,
) -> None:
    await bridge.enter()
    claiming = asyncio.ensure_future(bridge.office.clerk.claim(FIRST, a_claim()))
    await asyncio.sleep(0)  # it has asked the ledger, and has no answer yet

    cancelling = asyncio.ensure_future(bridge.pilot.cancel("j1"))
    verdict = await claiming
    if isinstance(verdict, Run):  # it had begun in that instant: then it is stopped
        await bridge.line.next()
        await bridge.office.clerk.failed(an_error(cancelled=True))

    assert (await cancelling).state is JobState.CANCELLED


async def test_two_who_steer_one_job_do_so_one_after_the_other(bridge: Bridge) -> None:
    await bridge.enter(delay=60.0)

    ends = await asyncio.gather(
        bridge.pilot.promote("j1"),
        bridge.pilot.reprioritize("j1", "high"),
        bridge.pilot.cancel("j1"),
        return_exceptions=True,
    )

    assert [type(end).__name__ for end in ends] == ["JobRecord"] * 3
    assert (await bridge.office.record()).state is JobState.CANCELLED


# --- how it stands ---


async def test_the_status_has_the_few_words_of_other_job_systems(bridge: Bridge) -> None:
    await bridge.enter()
    await bridge.run()
    await bridge.office.clerk.completed(a_result())

    status = msgspec.to_builtins(await bridge.pilot.status("j1"))

    assert {name: status[name] for name in ("id", "name", "state", "progress")} == {
        "id": "j1", "name": "", "state": "completed", "progress": 100.0
    }  # fmt: skip
    assert (status["attemptsMade"], status["failedReason"]) == (1, None)
    assert status["returnvalue"] == {"answer": 42}
    assert status["finishedOn"] == status["processedOn"] > 1_700_000_000_000


async def test_a_waiting_job_knows_about_how_many_go_before_it(bridge: Bridge) -> None:
    for job in ("a", "b", "j1"):
        await bridge.enter(job)
        bridge.office.clock.advance(1.0)

    status = await bridge.pilot.status("j1")
    failed = a_letter("b")
    await bridge.office.clerk.buried(failed, FIRST[0])

    assert status.place is not None
    assert (status.place.position, status.place.is_approximate) == (3, True)
    await settle()
