"""The worker's side of every question: asked once, answered by number."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from consumers.broker.operations import Answer, Delivered, Depth
from consumers.desk import Claim, DeadLetter, Run
from consumers.jobs import Job, Properties
from consumers.outcome import NOT_BEGUN, Completed, Failure
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.outboxes import FakeOutbox
from tests.support.specs import a_spec
from workers import messages, spool
from workers.desk import PipeDesk
from workers.exchange import PipeExchange

JOB = Job("j1", "download_queue", {"link": "x", "from": "ana"}, attempt=2, sender="ana")
BROKEN = Failure("no such host", code="network")
CLAIM = Claim("download_queue", b"{}", Properties(), "f1")


@pytest.fixture
def outbox() -> FakeOutbox:
    return FakeOutbox()


@pytest.fixture
def desk(outbox: FakeOutbox) -> PipeDesk:
    return PipeDesk(a_spec(), outbox, FakeClock())


def letter() -> DeadLetter:
    return DeadLetter(
        queue="download_queue",
        dead_queue="download_queue_dlq",
        body=b"{}",
        properties=Properties(),
        failure=BROKEN,
        job_id="j1",
        sender="ana",
        link="x",
    )


def on_the_wire(message: messages.FromWorker) -> dict[str, object]:
    wire: dict[str, object] = msgspec.json.decode(msgspec.json.encode(message))
    return wire


async def test_each_claim_gets_the_verdict_of_its_own_number(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    first = asyncio.ensure_future(desk.claim(CLAIM))
    second = asyncio.ensure_future(desk.claim(CLAIM))
    await settle()
    one, two = (message.call for message in outbox.of(messages.Claiming))

    desk.judged(messages.Judged(call=two, verdict=Run("b")))
    desk.judged(messages.Judged(call=one, verdict=Run("a")))

    assert await asyncio.wait_for(first, WITHIN) == Run("a")
    assert await asyncio.wait_for(second, WITHIN) == Run("b")


async def test_no_job_is_claimed_while_the_coordinator_is_slow(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    outbox.congest()
    claim = asyncio.ensure_future(desk.claim(CLAIM))
    await settle()
    assert outbox.sent == []

    outbox.flow()
    await settle()

    assert len(outbox.of(messages.Claiming)) == 1
    claim.cancel()


async def test_an_answer_nobody_waits_for_any_more_is_ignored(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    claim = asyncio.ensure_future(desk.claim(CLAIM))
    await settle()
    claim.cancel()
    await settle()

    desk.judged(messages.Judged(call=1, verdict=Run("a")))
    desk.noted(messages.Noted(call=77))


async def test_a_result_has_the_fields_other_programs_read(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    outcome = Completed({"files": [{"path": "/m/a.mp4", "size": 1}]}, 2.0)
    work = asyncio.ensure_future(desk.completed(JOB, outcome))
    await settle()
    assert not work.done()
    wire = on_the_wire(outbox.sent[0])

    desk.noted(messages.Noted(call=1))

    await asyncio.wait_for(work, WITHIN)
    assert wire["type"] == "result"
    assert (wire["workerId"], wire["queueName"]) == ("download-1", "download_queue")
    assert wire["payload"] == {"results": ["/m/a.mp4"], "from": "ana", "noreply": False}


async def test_a_failed_attempt_is_told_which_copy_follows(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    work = asyncio.ensure_future(desk.retrying(JOB, BROKEN, delay=4.0, duration=2.0))
    await settle()
    wire = on_the_wire(outbox.sent[0])

    desk.noted(messages.Noted(call=1, seq=3))

    assert await asyncio.wait_for(work, WITHIN) == 3
    assert (wire["type"], wire["error"]) == ("error", "no such host")
    assert wire["retry"] == {"delay": 4.0}
    assert wire["payload"] == {"error": "no such host", "link": "x", "from": "ana"}


async def test_the_last_failure_and_a_cancellation_name_no_copy(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    works = [
        asyncio.ensure_future(desk.giving_up(JOB, BROKEN, duration=2.0)),
        asyncio.ensure_future(desk.cancelled(JOB, duration=2.0)),
    ]
    await settle()
    last, cancelled = outbox.of(messages.JobError)

    desk.noted(messages.Noted(call=1))
    desk.noted(messages.Noted(call=2))

    await asyncio.wait_for(asyncio.gather(*works), WITHIN)
    assert (last.retry, last.cancelled, last.failure) == (None, False, BROKEN)
    assert (cancelled.cancelled, cancelled.failure) == (True, None)


async def test_a_run_the_machine_broke_off_is_waited_for_like_a_failure(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    work = asyncio.ensure_future(desk.interrupted(JOB, BROKEN, duration=2.0))
    await settle()
    (said,) = outbox.of(messages.JobError)
    assert not work.done()

    desk.noted(messages.Noted(call=1))

    await asyncio.wait_for(work, WITHIN)
    assert (said.interrupted, said.retry, said.error) == (True, None, BROKEN.message)


@pytest.mark.parametrize(
    ("failure", "said_of_it"),
    [(Failure(""), "the machine was at fault"), (NOT_BEGUN.failure, "")],
    ids=["a fault", "never begun"],
)
async def test_a_fault_without_words_is_reported_in_ours_and_what_never_began_as_none(
    desk: PipeDesk, outbox: FakeOutbox, failure: Failure, said_of_it: str
) -> None:
    work = asyncio.ensure_future(desk.interrupted(JOB, failure, duration=2.0))
    await settle()
    (said,) = outbox.of(messages.JobError)
    desk.noted(messages.Noted(call=1))

    await asyncio.wait_for(work, WITHIN)
    assert said.error == said_of_it


async def test_a_dead_letter_is_reported_for_the_dead_letter_queue(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    work = asyncio.ensure_future(desk.buried(letter()))
    await settle()
    wire = on_the_wire(outbox.sent[0])

    desk.noted(messages.Noted(call=1))

    await asyncio.wait_for(work, WITHIN)
    assert (wire["type"], wire["queueName"]) == ("error", "download_queue_dlq")
    assert wire["payload"] == {"error": "no such host", "link": "x", "from": "ana"}


async def test_the_news_of_a_job_is_sent_and_not_waited_for(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    desk.started(JOB)
    desk.settled(JOB.queue, "j1")

    started, settled = outbox.sent
    assert isinstance(started, messages.Started)
    assert (started.job_id, started.attempt) == ("j1", 2)
    assert settled == messages.Settled(queue_name="download_queue", job_id="j1")


async def test_the_embedded_queues_answer_through_the_pipe(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    question = asyncio.ensure_future(PipeExchange(desk).perform(Depth("q")))
    await settle()
    assert outbox.sent == [messages.QueueCall(call=1, operation=Depth("q"))]

    desk.answered(messages.QueueAnswer(call=1, answer=Answer(number=7)))

    assert await asyncio.wait_for(question, WITHIN) == Answer(number=7)


async def test_a_delivery_goes_to_the_last_who_asked_for_them(desk: PipeDesk) -> None:
    exchange = PipeExchange(desk)
    first, second = list[Delivered](), list[Delivered]()
    delivered = Delivered("1.1", "q", 7, b"{}", Properties())

    exchange.deliver(delivered)
    exchange.attach(first.append)
    exchange.attach(second.append)
    exchange.deliver(delivered)

    assert (first, second) == ([], [delivered])


async def test_of_two_jobs_of_one_id_each_is_told_of_by_its_own_queue(
    desk: PipeDesk, outbox: FakeOutbox
) -> None:
    """One came from another pool's queue; ids are unique in a queue, not between two."""
    desk.parked("small_queue", "j1", 1, is_owed=False)
    desk.settled("download_queue", "j1", has_run=True)
    desk.unsettled("small_queue", "j1", has_run=True)

    assert outbox.sent == [
        messages.Parked("small_queue", "j1", 1),
        messages.Settled("download_queue", "j1", has_run=True),
        messages.Unsettled("small_queue", "j1", has_run=True),
    ]


@pytest.mark.parametrize(
    "word",
    [
        lambda desk: desk.settled("download_queue", "j1", has_run=True, is_nameless=True),
        lambda desk: desk.unsettled("download_queue", "j1", has_run=True, is_nameless=True),
        lambda desk: asyncio.ensure_future(desk.acking("download_queue", "j1")),
        lambda desk: asyncio.ensure_future(desk.parking(JOB)),
        lambda desk: asyncio.ensure_future(desk.interrupted(JOB, BROKEN, duration=0.1)),
        lambda desk: desk.lost(CLAIM.session),
    ],
    ids=["settled", "unsettled", "acking", "parking", "interrupted", "lost"],
)
async def test_an_outcome_is_spooled_until_something_else_may_have_come_of_its_message(
    outbox: FakeOutbox, tmp_path: Path, word: Callable[[PipeDesk], object]
) -> None:
    desk = PipeDesk(a_spec(spool=str(tmp_path / f"download-1{spool.ENDING}")), outbox, FakeClock())
    claiming = asyncio.ensure_future(desk.claim(CLAIM))
    await settle()
    desk.judged(messages.Judged(call=outbox.of(messages.Claiming)[0].call, verdict=Run("j1")))
    await claiming
    ending = asyncio.ensure_future(desk.completed(JOB, Completed({"files": []}, duration=0.5)))
    await settle()
    file = tmp_path / f"download-1{spool.ENDING}"
    before = file.read_bytes()

    word(desk)
    await settle()

    assert b"over" not in before
    assert spool.take(tmp_path) == ()
    file.write_bytes(before)
    assert [handed_in.run for handed_in in spool.take(tmp_path)] == [Run("j1")]
    ending.cancel()
