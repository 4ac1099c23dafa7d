"""Who asked for an answer gets it once, by whatever session there is; nobody else is disturbed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import pytest

from consumers.errors import UnreachableError
from consumers.jobs import Properties
from supervisor import replies
from supervisor.core.records import JobState
from supervisor.ledger import next_copies, withdrawals
from supervisor.ledger.next_copies import Again
from supervisor.ports import Event
from supervisor.replies import DIRECT, Replies
from tests.support import offices
from tests.support.clocks import START, WITHIN, settle
from tests.support.offices import FIRST, Office, a_claim, a_letter, a_result, an_error
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory

ASKED = Properties(message_id="j1", correlation_id="c1", reply_to="answers")


@dataclass
class Desk:
    """A clerk whose answers go to a broker in memory."""

    office: Office
    replies: Replies
    broker: BrokerInMemory
    session: SessionInMemory

    async def answers(self, count: int = 0) -> list[Mapping[str, object]]:
        """Return what was answered, once that is so much at least."""
        self.office.bulletin.hand_out()
        async with asyncio.timeout(WITHIN):
            while len(self.broker.published) < count:
                await self.office.ledger.counts()  # a question behind its own
                await settle()
        await self.office.written()
        for _ in range(5):
            await settle()
        return [msgspec.json.decode(one.message.body) for one in self.broker.published]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async for office in offices.an_office(tmp_path):
        broker = BrokerInMemory()
        session = await broker.connect()
        answering = Replies(office.ledger, office.bulletin, office.clock)
        office.clerk.replies = answering
        running = asyncio.ensure_future(answering.run())
        yield Desk(office, answering, broker, session)
        running.cancel()
        await asyncio.wait({running})


async def test_a_result_is_told_to_who_asked_with_its_duration(desk: Desk) -> None:
    await desk.replies.open(desk.session)
    await desk.office.clerk.claim(FIRST, a_claim(properties=ASKED))

    await desk.office.clerk.completed(a_result())

    assert await desk.answers() == [{"success": True, "data": {"answer": 42}, "duration": 2.0}]
    (sent,) = desk.broker.published
    assert sent.queue == "answers"
    assert sent.message.properties.correlation_id == "c1"


async def test_without_a_correlation_id_the_message_id_is_sent_back(desk: Desk) -> None:
    await desk.replies.open(desk.session)

    desk.replies.completed(Properties(message_id="7", reply_to="answers"), {"files": []}, 1.0)

    assert await desk.answers() == [{"success": True, "data": {"files": []}, "duration": 1.0}]
    assert desk.broker.published[0].message.properties.correlation_id == "7"


async def test_a_dead_letter_is_answered_once_and_an_attempt_is_not(desk: Desk) -> None:
    await desk.replies.open(desk.session)
    await desk.office.clerk.claim(FIRST, a_claim(properties=ASKED))

    await desk.office.clerk.failed(an_error())
    assert await desk.answers() == []
    for _ in range(2):
        letter = a_letter(properties=ASKED, duration=2.5)
        await desk.office.clerk.buried(letter, FIRST[0])

    told = {"success": False, "error": "no such host", "duration": 2.5}
    assert await desk.answers() == [told]


async def call_off(desk: Desk, state: JobState) -> None:
    """Have the job be ended by somebody while it waits."""
    await desk.office.clerk.claim(FIRST, a_claim(properties=ASKED))
    await desk.office.written()
    await desk.office.ledger.release(QUEUES.public, ["j1"])
    off = partial(withdrawals.call_off, queue=QUEUES.public, job_id="j1", state=state)
    assert await desk.office.ledger.write(partial(off, now=desk.office.clock.utcnow()))


@pytest.mark.parametrize("name", ["cancelled", "removed"])
async def test_a_job_that_somebody_ended_is_answered(desk: Desk, name: str) -> None:
    await desk.replies.open(desk.session)
    await call_off(desk, JobState(name))

    desk.office.bulletin.publish(Event(name, START, queue=QUEUES.public, id="j1"))

    assert await desk.answers(1) == [{"success": False, "error": name, "duration": 0.0}]


async def test_a_job_that_was_completed_and_is_removed_is_not_answered_again(desk: Desk) -> None:
    await desk.replies.open(desk.session)
    await desk.office.clerk.claim(FIRST, a_claim(properties=ASKED))
    await desk.office.clerk.completed(a_result())
    assert len(await desk.answers()) == 1

    desk.office.bulletin.publish(Event("removed", START, queue=QUEUES.public, id="j1"))

    assert len(await desk.answers()) == 1


async def test_a_job_that_failed_or_was_cancelled_and_is_removed_is_not_answered_again(
    desk: Desk,
) -> None:
    """Of one a copy of which may still come the bare row stays."""
    await desk.replies.open(desk.session)
    await call_off(desk, JobState.CANCELLED)
    erase = partial(withdrawals.erase, queue=QUEUES.public, job_id="j1")
    await desk.office.ledger.write(partial(erase, now=desk.office.clock.utcnow()))
    assert (await desk.office.record()).state is JobState.REMOVED

    desk.office.bulletin.publish(Event("removed", START, queue=QUEUES.public, id="j1"))

    assert await desk.answers() == []


async def test_a_job_that_was_cancelled_and_is_to_run_again_is_answered_when_it_ends(
    desk: Desk,
) -> None:
    await desk.replies.open(desk.session)
    await call_off(desk, JobState.CANCELLED)
    again = partial(next_copies.again, queue=QUEUES.public, job_id="j1", copy=Again())
    await desk.office.ledger.write(partial(again, now=desk.office.clock.utcnow()))

    desk.office.bulletin.publish(Event("cancelled", START, queue=QUEUES.public, id="j1"))

    assert await desk.answers() == []


async def test_who_did_not_ask_gets_nothing(desk: Desk) -> None:
    await desk.replies.open(desk.session)

    desk.replies.completed(Properties(message_id="7"), {}, 1.0)

    assert await desk.answers() == []


async def test_an_answer_waits_for_the_next_session(desk: Desk) -> None:
    desk.replies.failed(ASKED, "broken", 1.0)
    assert await desk.answers() == []

    await desk.replies.open(desk.session)

    assert len(await desk.answers()) == 1


async def test_an_answer_that_waited_too_long_is_given_up(desk: Desk) -> None:
    desk.replies.failed(ASKED, "broken", 1.0)
    await desk.office.clock.move(replies.PATIENCE + 1)

    await desk.replies.open(desk.session)

    assert await desk.answers() == []


async def test_a_queue_that_is_gone_is_no_error(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.broker.refusing = {"answers"}
    await desk.replies.open(desk.session)

    desk.replies.failed(ASKED, "broken", 1.0)

    assert await desk.answers() == []
    assert "nobody to reply to" in capsys.readouterr().out


async def test_what_an_ended_session_did_not_take_is_sent_by_the_next(desk: Desk) -> None:
    await desk.replies.open(desk.session)
    desk.session.end(UnreachableError("reset"))
    desk.replies.failed(ASKED, "broken", 1.0)
    assert await desk.answers() == []
    desk.replies.lost()
    await desk.office.clock.move(1.0)

    await desk.replies.open(await desk.broker.connect())

    assert len(await desk.answers()) == 1


async def test_a_direct_reply_is_written_without_asking_whether_it_was_taken(desk: Desk) -> None:
    await desk.replies.open(desk.session)

    to = msgspec.structs.replace(ASKED, reply_to=f"{DIRECT}g1h2")
    desk.replies.failed(to, "broken", 1.0)

    assert await desk.answers() == []
    (note,) = desk.broker.announced
    assert (note.exchange, note.key) == ("", f"{DIRECT}g1h2")
    assert note.message.properties.correlation_id == "c1"
