"""One delivery from claim to ack: what is written down before what is let go."""

import asyncio

import pytest

from consumers import jobs
from consumers.desk import Condemn, Drop, Later, Verdict
from consumers.errors import BrokerError, MalformedError
from consumers.jobs import Properties
from consumers.outcome import Cancelled, Failed, Failure, Interrupted
from consumers.refusals import PAUSE
from tests.support.benches import BROKEN, GONE, Bench, bench_of_one
from tests.support.clocks import settle
from tests.support.sessions import QUEUES, a_message

__all__ = ["bench_of_one"]


@pytest.mark.invariant(2)
async def test_a_result_is_noted_before_the_delivery_is_acked(bench: Bench) -> None:
    took = await bench.execute(a_message())

    assert took == 2.0
    assert bench.diary == ["started", "ran", "noted completed", "acked", "settled"]


@pytest.mark.invariant(2)
async def test_nothing_is_acked_while_the_result_is_not_noted(bench: Bench) -> None:
    bench.desk.open.clear()
    hand = bench.session.hand(a_message())
    work = asyncio.ensure_future(bench.executor.execute(hand, jobs.Envelope({})))
    await settle()
    assert bench.unsettled == 1

    bench.desk.open.set()
    await work

    assert bench.unsettled == 0


@pytest.mark.invariant(2)
async def test_a_failed_attempt_is_noted_then_its_copy_stored_then_acked(bench: Bench) -> None:
    bench.processor.outcome = BROKEN

    await bench.execute(a_message(message_id="7"))

    lane = QUEUES.priority
    assert bench.diary[2:] == ["noted retrying", f"published to {lane}", "acked", "settled"]
    assert bench.desk.retries == [4.0]


@pytest.mark.invariant(8)
async def test_a_copy_carries_the_same_bytes_and_properties_and_our_numbers(bench: Bench) -> None:
    bench.processor.outcome = BROKEN
    message = a_message(b'{ "link" : "x" }', message_id="7", type="t", headers={"tenant": 1})

    await bench.execute(message)

    assert bench.copy.delay == 4.0
    assert bench.copy.message.body == b'{ "link" : "x" }'
    own = {jobs.JOB_ID: "7", jobs.SEQ: 1, jobs.ATTEMPTS: 1, "tenant": 1}
    assert bench.copy.message.properties == Properties(message_id="7", type="t", headers=own)


async def test_a_job_without_an_id_keeps_the_one_it_was_given(bench: Bench) -> None:
    bench.processor.outcome = BROKEN

    await bench.execute(a_message())

    assert bench.copy.message.properties.headers[jobs.JOB_ID] == "new-1"


@pytest.mark.invariant(2)
async def test_the_last_failure_is_noted_then_buried_with_its_error_then_acked(
    bench: Bench,
) -> None:
    bench.processor.outcome = BROKEN
    headers = {jobs.JOB_ID: "7", jobs.SEQ: 2, jobs.ATTEMPTS: 2, "x-death": [], "CC": ["audit"]}

    await bench.execute(a_message(b'{"link":  "x"}', headers=headers), queue=QUEUES.priority)

    assert bench.diary[2:] == ["noted giving up", f"published to {QUEUES.dead}", "acked", "settled"]
    assert bench.copy.message.body == b'{"link":  "x"}'
    assert bench.copy.message.properties.headers == {
        jobs.JOB_ID: "7",
        jobs.SEQ: 2,
        jobs.ATTEMPTS: 3,
        jobs.QUEUE: QUEUES.public,
        jobs.ERROR: "no such host",
        jobs.ERROR_CODE: "network",
        jobs.ERROR_PERMANENT: False,
        jobs.FAILED_AT: "2026-11-22T12:00:00+00:00",
        jobs.DURATION: 1000,
    }


async def test_a_permanent_failure_skips_the_attempts_that_are_left(bench: Bench) -> None:
    bench.processor.outcome = GONE

    await bench.execute(a_message(message_id="7"))

    assert bench.copy.queue == QUEUES.dead
    assert bench.desk.retries == []


async def test_an_endless_error_text_does_not_fill_the_headers(bench: Bench) -> None:
    bench.processor.outcome = Failed(Failure("x" * 10_000, permanent=True), 1.0)

    await bench.execute(a_message())

    assert len(str(bench.copy.message.properties.headers[jobs.ERROR])) == 2000


async def test_a_cancelled_job_is_noted_and_acked_and_goes_nowhere(bench: Bench) -> None:
    bench.processor.outcome = Cancelled(1.0)

    await bench.execute(a_message())

    assert bench.diary[2:] == ["noted cancelled", "acked", "settled"]
    assert bench.published == []


@pytest.mark.invariant(7)
async def test_a_job_the_machine_broke_off_is_noted_then_given_back_and_nothing_is_settled(
    bench: Bench,
) -> None:
    bench.processor.outcome = Interrupted(Failure("disk full", code="disk_full"), 1.0)

    await bench.execute(a_message())

    assert bench.diary == ["started", "ran", "noted interrupted", "given back"]
    assert bench.published == []


async def test_where_returns_are_counted_it_goes_back_as_a_copy_that_knows_its_job(
    bench: Bench,
) -> None:
    bench.processor.outcome = Interrupted(Failure("disk full", code="disk_full"), 1.0)

    await bench.execute(a_message(headers={jobs.DELIVERY_COUNT: 0, jobs.ATTEMPTS: 1}))

    lane = QUEUES.priority
    assert bench.diary[2:] == ["noted interrupted", f"published to {lane}", "acked", "settled"]
    assert bench.copy.message.properties.headers == {jobs.JOB_ID: "new-1", jobs.ATTEMPTS: 1}


async def test_a_condemned_job_is_buried_without_a_run(bench: Bench) -> None:
    bench.desk.verdict = Condemn("7", Failure("worker died", code="worker_died"), attempts=1)

    took = await bench.execute(a_message())

    assert took is None
    assert bench.diary == [f"published to {QUEUES.dead}", "acked", "settled"]
    assert bench.copy.message.properties.headers[jobs.ERROR_CODE] == "worker_died"


async def test_a_job_for_later_goes_to_the_lane_with_its_delay_and_number(bench: Bench) -> None:
    bench.desk.verdict = Later("7", delay=16.0, seq=3, attempts=1)

    await bench.execute(a_message())

    assert bench.diary == [f"published to {QUEUES.priority}", "acked", "settled"]
    assert bench.copy.delay == 16.0
    own = {jobs.JOB_ID: "7", jobs.SEQ: 3, jobs.ATTEMPTS: 1}
    assert bench.copy.message.properties.headers == own


async def test_a_dropped_delivery_is_acked_without_a_run(bench: Bench) -> None:
    bench.desk.verdict = Drop("7", "settled")

    await bench.execute(a_message())

    assert bench.diary == ["acked", "settled"]


VERDICTS = [Later("7", delay=1.0, seq=1), Condemn("7", Failure("died"))]


@pytest.mark.parametrize("verdict", [None, *VERDICTS])
async def test_a_refused_copy_is_tried_again_and_the_original_kept_until_it_is_stored(
    bench: Bench, verdict: Verdict | None
) -> None:
    bench.processor.outcome, bench.desk.verdict = BROKEN, verdict
    bench.session.broker.refusing = {QUEUES.priority, QUEUES.dead}
    executing = asyncio.ensure_future(bench.execute(a_message()))
    await bench.clock.until_asleep()

    assert bench.unsettled == 1
    assert "settled" not in bench.diary
    bench.session.broker.refusing = set()
    await bench.clock.move(PAUSE)
    await executing
    assert bench.unsettled == 0
    assert bench.diary[-1] == "settled"


@pytest.mark.invariant(3)
async def test_an_ack_after_the_session_has_ended_settles_nothing(bench: Bench) -> None:
    hand = bench.session.hand(a_message())
    bench.session.end()

    with pytest.raises(BrokerError):
        await bench.executor.execute(hand, jobs.Envelope({}))

    assert bench.diary == ["started", "ran", "noted completed", "unsettled"]


async def test_a_message_that_is_no_job_goes_to_the_dead_letters_with_the_field_named(
    bench: Bench,
) -> None:
    hand = bench.session.hand(a_message(b"[]", message_id="7"))

    await bench.executor.refuse(hand, MalformedError("link", "is missing"))

    assert bench.diary == [f"published to {QUEUES.dead}", "acked"]
    assert bench.copy.message.body == b"[]"
    headers = bench.copy.message.properties.headers
    assert headers[jobs.ERROR] == "link: is missing"
    assert headers[jobs.ERROR_CODE] == "bad_message"
    assert headers[jobs.JOB_ID] == "7"
    assert bench.desk.claims == []


async def test_a_moved_job_serves_its_delay_on_the_way_and_loses_the_header(bench: Bench) -> None:
    message = a_message(priority=4, headers={jobs.DELAY: 3000, "x-death": [], "tenant": 1})

    await bench.executor.move(bench.session.hand(message), delay=3.0)

    assert bench.diary == [f"published to {QUEUES.priority}", "acked"]
    assert bench.copy.delay == 3.0
    assert bench.copy.message.properties == Properties(priority=4, headers={"tenant": 1})


async def test_a_brokers_own_tag_is_no_number_in_the_ledger(bench: Bench) -> None:
    await bench.execute(a_message())

    assert [claim.tag for claim in bench.desk.claims] == [0]


async def test_a_processor_sees_which_attempt_it_is(bench: Bench) -> None:
    await bench.execute(a_message(b'{"from": "ana"}', headers={jobs.ATTEMPTS: 1}))

    assert (bench.processor.ran[0].attempt, bench.processor.ran[0].sender) == (2, "ana")
