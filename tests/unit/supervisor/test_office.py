"""The office: what it accepts as a job, what is stored, and what it shows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from consumers.jobs import Priority
from consumers.oversized import warnings
from consumers.topology import oversized
from supervisor.conditions import Conditions, Surroundings
from supervisor.core.conditions import Limits
from supervisor.core.fleet import Fleet, PoolPolicy, initial
from supervisor.core.records import JobFilter, JobState
from supervisor.inbox import Inbox
from supervisor.office import Office, Sources
from supervisor.perform import Offices, Performer
from supervisor.ports import (
    BadOrderError,
    Deduplicate,
    Entered,
    Order,
    SiteView,
    TakenError,
    UnknownJobError,
    UnknownPoolError,
    unknown_pool,
)
from supervisor.poster import Poster
from supervisor.postroom import Postroom
from supervisor.processes import Processes
from supervisor.switchboard import Switchboard
from tests.support import offices
from tests.support.clocks import WITHIN
from tests.support.desks import FakeDesk
from tests.support.offices import CARD, FIRST, a_claim
from tests.support.sessions import QUEUES, BrokerInMemory, Published, SessionInMemory, a_message
from tests.support.specs import a_spec
from workers import messages, sites

LINK = {"link": "http://127.0.0.1/clip", "from": "ana"}


@dataclass
class Doors:
    """An office with a clerk, a ledger and a broker behind it."""

    office: Office
    back: offices.Office
    broker: BrokerInMemory
    postroom: Postroom
    session: SessionInMemory
    board: Switchboard
    poster: Poster

    @property
    def copy(self) -> Published:
        (only,) = self.broker.published
        return only


@pytest.fixture
async def doors(office: offices.Office, tmp_path: Path) -> AsyncIterator[Doors]:
    broker = BrokerInMemory()
    session = await broker.connect()
    postroom = Postroom("amqp://broker", {"download": QUEUES}, FakeDesk())
    await postroom.open(session)
    board = Switchboard(Inbox(), office.clerk, None, office.clock)
    # Nothing is started or ended here.
    nothing = cast("Processes", None)
    hands = Offices(nothing, board, office.clerk, office.ledger, office.bulletin)
    performer = Performer(hands, Inbox(), lambda *_: a_spec(), office.clock)
    fleet, _ = initial([PoolPolicy(name="download", instances=2)], 0.0)

    def now() -> Fleet:
        return fleet

    around = Surroundings(office.ledger, board, office.bulletin, now, lambda: postroom.view)
    conditions = Conditions(Limits(), {}, around, office.clock)
    poster = Poster(office.ledger, postroom, [CARD], office.bulletin, office.clock)
    postroom.takes_jobs = poster.poke
    desks = ("schedules", "retries", "pools", "queues", "steering", "letters", "logs")
    absent: dict[str, Any] = dict.fromkeys(desks)  # who is asked there is tested elsewhere
    sources = Sources(
        *(office.ledger, postroom, office.clerk, board, performer, office.bulletin),
        *(conditions, now, tmp_path, poster),
        **absent,
    )
    control = Office([CARD], sources, office.clock, body_limit=1000)
    posting = asyncio.ensure_future(poster.run())
    yield Doors(control, office, broker, postroom, session, board, poster)
    posting.cancel()
    await asyncio.wait({posting})
    await postroom.close()


async def test_a_job_is_on_the_disk_and_in_its_queue_when_it_is_accepted(doors: Doors) -> None:
    record = await doors.office.submit(Order("download", LINK, id="j1"))

    assert (record.id, record.state, record.sender) == ("j1", JobState.WAITING, "ana")
    assert (doors.copy.queue, doors.copy.message.properties.message_id) == (QUEUES.public, "j1")
    assert msgspec.json.decode(doors.copy.message.body) == LINK
    assert doors.back.told == ["waiting"]


async def test_the_same_id_again_is_the_job_there_is(doors: Doors) -> None:
    await doors.office.submit(Order("download", LINK, id="j1"))

    again = await doors.office.submit(Order("download", {"link": "another"}, id="j1"))

    assert again.data == LINK
    assert len(doors.broker.published) == 1


async def test_of_many_jobs_an_id_of_somebody_else_is_refused_and_ones_own_is_known(
    doors: Doors,
) -> None:
    await doors.office.submit(Order("download", LINK, id="j1"), origin="token:ana")
    orders = [Order("download", LINK, id="j1")]

    (foreign,) = await doors.office.submit_many(orders, origin="token:bob")
    (own,) = await doors.office.submit_many(orders, origin="token:ana")

    assert isinstance(foreign, TakenError)
    assert "j1 is taken by a job that is not yours" in str(foreign)
    assert own == Entered("j1", is_new=False)


async def test_an_urgent_or_delayed_job_goes_to_the_private_lane(doors: Doors) -> None:
    await doors.office.submit(Order("download", LINK, priority="high"))
    record = await doors.office.submit(Order("download", LINK, delay=60.0))

    urgent, delayed = doors.broker.published
    assert (urgent.queue, urgent.message.properties.priority) == (QUEUES.priority, 4)
    assert (delayed.queue, delayed.delay) == (QUEUES.priority, 60.0)
    assert record.state is JobState.DELAYED
    assert doors.back.told == ["waiting", "delayed"]


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (Order("download", {"from": ["ana"]}), "data.from: must be"),
        (Order("download", {"noreply": "yes"}), "data.noreply: must be"),
        (Order("download", {"text": "x" * 1000}), "data: is 1,011 bytes, the limit is 1,000"),
        (Order("download", LINK, priority="urgent"), "priority: must be one of critical"),
        (Order("download", LINK, delay=-1.0), "delay: must be 0 to"),
        (Order("download", LINK, delay=1e9), "delay: must be 0 to"),
        (Order("download", LINK, delay=float("nan")), "delay: must be 0 to"),
        (Order("download", LINK, id=""), "id: must be 1 to 200 bytes"),
        (Order("download", LINK, id="é" * 101), "id: must be 1 to 200 bytes"),
        (Order("download", LINK, id="a\nb"), "id: must be 1 to 200 bytes"),
        (Order("download", {"from": "\0"}), "data.from: must not contain the character NUL"),
        (Order("download", LINK, name="\0"), "name: must not contain the character NUL"),
        (Order("download", LINK, name="ü" * 101), "name: must be 200 bytes or shorter"),
        (
            Order("download", LINK, deduplicate=Deduplicate("\0")),
            "deduplicate.key: must not contain the character NUL",
        ),
    ],
    ids=[
        *("sender", "noreply", "too large", "priority", "delay in the past", "endless delay"),
        *("no delay", "no id", "id too long", "unprintable id"),
        *("NUL in the sender", "NUL in the name", "long name", "NUL in the key"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_by_its_field(
    doors: Doors, order: Order, said: str
) -> None:
    with pytest.raises(BadOrderError) as refused:
        await doors.office.submit(order)

    assert str(refused.value).startswith(said)
    assert doors.broker.published == []
    assert await doors.office.jobs(JobFilter()) == ()


async def test_a_job_from_nobody_has_no_sender(doors: Doors) -> None:
    record = await doors.office.submit(Order("download", {"from": None}))

    assert record.sender == ""


async def test_an_unknown_pool_is_answered_with_those_there_are(doors: Doors) -> None:
    with pytest.raises(UnknownPoolError, match="'upload' is configured; there are: download"):
        await doors.office.submit(Order("upload", LINK))
    with pytest.raises(UnknownPoolError):
        await doors.office.jobs(JobFilter(pool="upload"))


@pytest.mark.parametrize("said", ["download_queue", "download-1", "downlod"])
def test_who_misspells_a_pool_or_names_its_queue_is_told_its_name(said: str) -> None:
    refused = unknown_pool(said, ("toy", "download", "down"))

    assert str(refused).endswith("; did you mean download?")
    assert "did you mean" not in str(unknown_pool("upsilon", ("toy",)))


async def test_an_unknown_job_is_said_to_be_unknown(doors: Doors) -> None:
    with pytest.raises(UnknownJobError, match="no job nope in the ledger"):
        await doors.office.job("nope")
    with pytest.raises(UnknownJobError, match="of a longer id write 4 characters or more"):
        await doors.office.job("abc")


async def test_a_job_is_known_by_the_start_of_its_id_that_no_other_has(doors: Doors) -> None:
    for job in ("order-17", "order-18", "order-180"):
        await doors.office.submit(Order("download", LINK, id=job))

    assert (await doors.office.job("order-17")).id == "order-17"
    assert (await doors.office.job("order-18")).id == "order-18"
    assert (await doors.office.job("order-180")).id == "order-180"
    with pytest.raises(UnknownJobError, match="3 jobs have ids that begin with order-1: write"):
        await doors.office.job("order-1")


@pytest.mark.parametrize("start", ["ord", "order_", "rder-17", "ORDER"])
async def test_too_little_of_an_id_or_another_is_nobodys(doors: Doors, start: str) -> None:
    await doors.office.submit(Order("download", LINK, id="order-17"))

    with pytest.raises(UnknownJobError, match=f"no job {start} in the ledger"):
        await doors.office.job(start)


async def test_a_job_is_taken_while_the_broker_is_away_and_published_when_it_is_back(
    doors: Doors,
) -> None:
    doors.session.end()
    doors.postroom.lost()

    record = await doors.office.submit(Order("download", LINK, id="j1"))
    published = list(doors.broker.published)
    posted = asyncio.ensure_future(doors.poster.posted((QUEUES.public, "j1"), within=WITHIN))
    await doors.postroom.open(await doors.broker.connect())

    assert await posted
    assert (record.state, published) == (JobState.PENDING, [])
    assert doors.copy.message.properties.message_id == "j1"
    assert doors.back.told == ["waiting"]


async def test_a_job_that_was_claimed_before_it_was_confirmed_stays_claimed(doors: Doors) -> None:
    submitting = asyncio.ensure_future(doors.office.submit(Order("download", LINK, id="j1")))
    await doors.back.clerk.claim(FIRST, a_claim("j1"))

    await asyncio.wait_for(submitting, WITHIN)
    await doors.back.written()

    assert (await doors.back.record()).state is JobState.ACTIVE


async def test_the_status_names_the_sites_that_are_left_alone(doors: Doors, tmp_path: Path) -> None:
    until = doors.back.clock.utcnow().timestamp() + 90
    site = sites.Site("example.com", cools_until=until, why="HTTP Error 429")
    (tmp_path / sites.FOLDER).mkdir()
    (tmp_path / sites.FOLDER / "example.com.json").write_bytes(msgspec.json.encode(site))

    status = await doors.office.status()

    assert status.sites == (SiteView("example.com", "HTTP Error 429", 90.0),)


async def test_the_status_counts_what_is_where(doors: Doors) -> None:
    for job in ("a", "b"):
        await doors.office.submit(Order("download", LINK, id=job))
    await doors.office.submit(Order("download", LINK, id="c", delay=60.0))
    await doors.back.clerk.claim(FIRST, a_claim("a"))
    await doors.back.clerk.buried(offices.a_letter("d"), FIRST[0])
    await doors.back.clerk.claim(FIRST, a_claim("d"))
    await doors.back.written()

    status = await doors.office.status()

    (queue,) = status.queues
    assert queue.duplicates == 1
    assert (queue.active, queue.delayed, queue.dead, queue.completed) == (1, 1, 1, 0)
    assert (status.state, status.broker.connected) == ("running", True)
    assert [worker.id for worker in status.workers] == ["download-1", "download-2"]
    assert status.health.total_workers == 2


async def test_letters_too_large_to_record_are_a_warning_and_no_fault(doors: Doors) -> None:
    before = doors.office.conditions()
    for _ in range(3):
        doors.broker.put(oversized(QUEUES.dead), a_message())
    said = messages.Metrics(0, 0, 0, 0.0, 1, 60.0, None, staying_letters=2)
    doors.board.metrics["download-1"] = doors.board.metrics["cutter-1"] = said

    status = await doors.office.status()

    (queue,) = status.queues
    assert (queue.oversized, queue.staying) == (3, 2)
    assert queue.warnings == warnings(QUEUES.dead, aside=3, staying=2)
    assert status.conditions == before


async def test_a_named_priority_is_the_jobs_priority(doors: Doors) -> None:
    record = await doors.office.submit(Order("download", LINK, priority=Priority.CRITICAL))

    assert record.priority is Priority.CRITICAL


async def test_a_job_far_ahead_is_kept_here_and_sets_out_when_it_is_near(doors: Doors) -> None:
    """No broker keeps a message for two months: see ``core/delays.py``."""
    far = doors.back.clock.utcnow() + timedelta(days=60)

    record = await doors.office.submit(Order("download", LINK, run_at=far))
    assert (record.state, record.due_at) == (JobState.PENDING, far)
    await doors.back.written()
    assert doors.broker.published == []

    doors.back.clock.advance(timedelta(days=13).total_seconds())
    while not doors.broker.published:
        await doors.back.written()
        doors.back.clock.advance(60.0)  # the poster looks once in a while
    (copy,) = doors.broker.published
    assert doors.back.clock.utcnow() + timedelta(seconds=copy.delay) >= far
    assert copy.delay > timedelta(days=46).total_seconds()


async def test_a_moment_that_has_passed_is_now(doors: Doors) -> None:
    past = doors.back.clock.utcnow() - timedelta(days=1)

    record = await doors.office.submit(Order("download", LINK, run_at=past))

    assert (record.state, record.due_at) == (JobState.WAITING, None)
    assert (doors.copy.queue, doors.copy.delay) == (QUEUES.public, 0.0)


async def test_what_an_order_says_is_to_follow_is_stored_with_it_or_refused(doors: Doors) -> None:
    good, bad = Order("download", LINK, then="download"), Order("download", LINK, then="gone")

    await doors.office.submit(good)
    body = doors.copy.message.body
    with pytest.raises(BadOrderError) as refused:
        await doors.office.submit(bad)
    answers = await doors.office.submit_many([bad, good])

    assert msgspec.json.decode(body) == {**LINK, "then": "download"}
    why = "then: names gone, which is no pool here; there are: download"
    assert [str(refused.value), str(answers[0])] == [why, why]
    assert isinstance(answers[1], Entered)
