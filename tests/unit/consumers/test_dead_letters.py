"""The dead-letter consumer: everything is written down before it is let go."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from consumers import copies, jobs
from consumers.broker.port import Delivery, Message
from consumers.dead_letters import DeadLetterConsumer, read_letter
from consumers.desk import DeadLetter
from consumers.jobs import Properties
from consumers.kept import Kept
from consumers.outcome import Failure
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.desks import FakeDesk
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory, a_message


@dataclass
class Graveyard:
    """A dead-letter consumer on an open session."""

    session: SessionInMemory
    desk: FakeDesk
    consumer: DeadLetterConsumer
    clock: FakeClock

    async def put(self, message: Message) -> None:
        self.session.broker.put(QUEUES.dead, message)
        await settle()


@pytest.fixture
async def graveyard() -> AsyncIterator[Graveyard]:
    diary: list[str] = []
    session = await BrokerInMemory(diary).connect()
    desk, clock = FakeDesk(diary), FakeClock()
    consumer = DeadLetterConsumer(QUEUES, desk, Kept(clock))
    await consumer.open(session)
    diary.clear()
    yield Graveyard(session, desk, consumer, clock)
    await consumer.abandon()
    consumer.lost()


def letter(body: bytes = b"{}", **properties: object) -> DeadLetter:
    message = Message(body, Properties(**properties))  # type: ignore[arg-type]  # by name
    delivery = Delivery(QUEUES.dead, message, False, 3, 1, number=7)  # noqa: FBT003
    return read_letter(delivery, QUEUES)


@pytest.mark.invariant(2)
async def test_a_dead_letter_is_acked_only_when_it_is_written_down(graveyard: Graveyard) -> None:
    graveyard.desk.open.clear()
    await graveyard.put(a_message())
    assert len(graveyard.session.in_hand) == 1

    graveyard.desk.open.set()
    await settle()

    assert graveyard.desk.diary == ["noted buried", "acked"]


async def test_a_letter_whose_session_ended_meanwhile_comes_again(graveyard: Graveyard) -> None:
    graveyard.desk.open.clear()
    await graveyard.put(a_message())
    graveyard.session.end()
    graveyard.consumer.lost()

    graveyard.desk.open.set()
    await settle()

    assert graveyard.desk.diary == ["noted buried"]
    assert len(graveyard.session.broker.bodies(QUEUES.dead)) == 1


async def test_a_drain_takes_nothing_new_and_waits_for_what_is_in_hand(
    graveyard: Graveyard,
) -> None:
    graveyard.desk.open.clear()
    await graveyard.put(a_message())
    drain = asyncio.ensure_future(graveyard.consumer.drain())
    await settle()
    await graveyard.put(a_message())
    assert not drain.done()

    graveyard.desk.open.set()

    await asyncio.wait_for(drain, WITHIN)
    assert len(graveyard.desk.letters) == 1


async def test_a_drain_on_a_session_that_is_gone_ends_all_the_same(graveyard: Graveyard) -> None:
    graveyard.session.end()

    await asyncio.wait_for(graveyard.consumer.drain(), WITHIN)


def test_our_letters_say_what_they_died_of() -> None:
    read = letter(
        b'{"link": "x", "from": "ana", "noreply": true}',
        headers={
            jobs.JOB_ID: "7",
            jobs.ATTEMPTS: 3,
            jobs.ERROR: "no such video",
            jobs.ERROR_CODE: "not_found",
        },
    )

    assert read.failure == Failure("no such video", code="not_found", permanent=True)
    assert (read.job_id, read.attempts, read.tag) == ("7", 3, 7)
    assert (read.sender, read.noreply, read.link) == ("ana", True, "x")
    assert (read.queue, read.dead_queue) == (QUEUES.public, QUEUES.dead)


@pytest.mark.parametrize("permanent", [True, False])
def test_a_letter_tells_a_failure_for_good_from_attempts_that_ran_out(*, permanent: bool) -> None:
    failure = Failure("HTTP Error 503", code="network", hint="later", permanent=permanent)
    copy = copies.dead(
        a_message(),
        job_id="7",
        end=copies.End(QUEUES.public, failure, 3, FakeClock().utcnow()),
    )

    read = letter(copy.body, headers=dict(copy.properties.headers))

    assert read.failure == failure


def test_a_letter_is_recorded_by_no_name_that_is_too_long_for_one() -> None:
    names = dict.fromkeys((jobs.JOB_ID, jobs.QUEUE, jobs.FINGERPRINT), "n" * 256)
    read, plain = letter(message_id="theirs", headers=names), letter(message_id="theirs")

    assert (read.job_id, read.queue) == ("theirs", QUEUES.public)
    assert read.fingerprint == plain.fingerprint


def test_a_foreign_letter_needs_none_of_our_headers() -> None:
    read = letter(b'{"filePath": "/a.mp4", "userId": 7}', message_id="theirs")

    assert read.failure.code == "foreign"
    assert (read.job_id, read.attempts) == ("theirs", 0)
    assert (read.sender, read.file_path) == ("7", "/a.mp4")


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"[1]", b'"text"', b'{"link": 7, "from": [], "noreply": "yes"}'],
    ids=repr,
)
def test_a_broken_body_is_no_reason_to_refuse_a_letter(body: bytes) -> None:
    read = letter(body)

    assert (read.body, read.sender, read.noreply, read.link) == (body, "", False, None)
    assert read.job_id is None


def test_a_body_nested_without_end_is_a_letter_too() -> None:
    assert letter(b"[" * 200_000).sender == ""


def test_a_null_from_is_as_good_as_none() -> None:
    assert letter(b'{"from": null, "userId": "bob"}').sender == "bob"
    assert letter(b'{"from": null}').sender == ""


@pytest.mark.parametrize("attempts", ["3", -1, True, None], ids=repr)
def test_attempts_that_are_no_count_are_none(attempts: object) -> None:
    assert letter(headers={jobs.ATTEMPTS: attempts}).attempts == 0


def test_a_letter_has_the_fingerprint_of_the_message_it_was() -> None:
    message = a_message(message_id="7")
    dead = message.properties.with_headers(x_job_error="broken", x_job_attempts=3)

    read = read_letter(Delivery(QUEUES.dead, Message(message.body, dead), False, 7, 1), QUEUES)  # noqa: FBT003

    assert read.fingerprint == jobs.fingerprint(QUEUES.public, message.body, message.properties)


def test_a_letter_in_a_shared_queue_belongs_to_the_pool_it_came_from() -> None:
    assert letter(headers={jobs.QUEUE: "cutter_queue"}).queue == "cutter_queue"
    assert letter().queue == QUEUES.public


def test_a_dead_letter_says_what_kind_of_job_it_is() -> None:
    def named(body: bytes, **properties: str) -> str:
        message = Message(body, Properties(**properties))  # type: ignore[arg-type]  # by name
        letter = Delivery(QUEUES.dead, message, redelivered=False, tag=1, generation=1)
        return read_letter(letter, QUEUES).name

    assert named(b'{"type": "email:send"}', type="other") == "email:send"
    assert named(b"nonsense", type="email:send") == "email:send"
    assert named(b"[]") == ""
