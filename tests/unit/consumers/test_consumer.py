"""How deliveries get the slots of one worker, and what happens to those that do not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from consumers import jobs
from consumers.broker.port import Message
from consumers.consumer import Consumer, Lanes
from consumers.errors import BrokerError, MalformedError
from consumers.executor import Executor
from consumers.jobs import Envelope, Job, Properties
from consumers.outcome import Completed, Outcome
from consumers.retry import RetryPolicy
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.desks import FakeDesk
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory, a_message

URGENT, IDLE = 5, 1  # AMQP priorities


@dataclass
class Work:
    """The processor: each job runs until the test lets it end."""

    duration: float = 1.0
    started: list[str] = field(default_factory=list)
    running: dict[str, asyncio.Event] = field(default_factory=dict)
    most_at_once: int = 0
    is_instant: bool = False

    async def run(self, job: Job) -> Outcome:
        self.started.append(job.id)
        self.running[job.id] = asyncio.Event()
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            if not self.is_instant:
                await self.running[job.id].wait()
        finally:
            del self.running[job.id]
        return Completed({}, self.duration)

    async def end(self, *ids: str) -> None:
        for job_id in ids:
            self.running[job_id].set()
        await settle()


@dataclass
class House:
    """A broker, a consumer on it, and the work it does."""

    broker: BrokerInMemory
    clock: FakeClock
    desk: FakeDesk
    work: Work
    consumer: Consumer

    async def open(self) -> SessionInMemory:
        session = await self.broker.connect()
        await self.consumer.open(session)
        await settle()
        return session

    async def put(self, *ids: str, queue: str = QUEUES.public, **properties: object) -> None:
        for job_id in ids:
            own = Properties(message_id=job_id, **properties)  # type: ignore[arg-type]  # by name
            self.broker.put(queue, Message(b"{}", own))
        await settle()

    async def put_urgent(self, *ids: str, priority: int = URGENT) -> None:
        await self.put(*ids, queue=QUEUES.priority, priority=priority)

    def ready(self, queue: str = QUEUES.public) -> list[str | None]:
        return [one.message.properties.message_id for one in self.broker.ready.get(queue, [])]


MakeHouse = Callable[..., House]


def refuse_bad_links(envelope: Envelope) -> None:
    if envelope.data.get("link") == "bad":
        raise MalformedError("link", "must be a link")


@pytest.fixture
async def build() -> AsyncIterator[MakeHouse]:
    houses: list[House] = []

    def _build(slots: int = 1) -> House:
        diary: list[str] = []
        broker, clock, desk, work = BrokerInMemory(diary), FakeClock(), FakeDesk(diary), Work()
        executor = Executor(QUEUES, RetryPolicy(), desk, work.run, clock)
        lanes = Lanes(QUEUES, slots, body_limit=1000, check=refuse_bad_links)
        houses.append(House(broker, clock, desk, work, Consumer(lanes, executor, clock)))
        return houses[-1]

    yield _build
    for house in houses:
        await house.consumer.abandon()


async def test_both_lanes_are_consumed_with_one_delivery_a_slot(build: MakeHouse) -> None:
    house = build(slots=3)

    session = await house.open()

    assert house.broker.prefetches() == {QUEUES.public: 3, QUEUES.priority: 3}
    assert session.declared == [QUEUES]


async def test_no_more_jobs_run_than_there_are_slots(build: MakeHouse) -> None:
    house = build(slots=2)
    await house.open()

    await house.put(*"abcdef")
    await house.put_urgent("x", "y", "z")
    assert house.work.started == ["a", "b"]
    await house.work.end("a", "b")

    assert house.work.most_at_once == 2


async def test_a_free_slot_takes_the_most_urgent_then_the_oldest(build: MakeHouse) -> None:
    house = build(slots=3)
    await house.open()
    await house.put("a", "b", "c")
    await house.put_urgent("idle", priority=IDLE)
    await house.put_urgent("first")
    await house.put_urgent("second")

    await house.work.end("a", "b", "c")

    assert house.work.started == ["a", "b", "c", "first", "second", "idle"]


async def test_a_delivery_that_waits_over_a_second_is_given_back(build: MakeHouse) -> None:
    house = build()
    await house.open()
    await house.put("a")
    await house.put_urgent("b")

    await house.clock.move(0.9)
    assert house.ready(QUEUES.priority) == []
    await house.clock.move(0.2)

    assert house.ready(QUEUES.priority) == ["b"]
    assert house.broker.prefetches() == {}
    assert house.work.started == ["a"]


async def test_a_delivery_that_came_later_is_not_given_back_too_late(build: MakeHouse) -> None:
    house = build(slots=2)
    await house.open()
    await house.put("a", "b")
    await house.put_urgent("c")
    await house.clock.move(0.6)
    await house.work.end("a")  # c has its slot
    await house.put_urgent("d")

    await house.clock.move(0.6)
    assert house.ready(QUEUES.priority) == []
    await house.clock.move(0.4)

    assert house.ready(QUEUES.priority) == ["d"]


async def test_lanes_are_opened_again_when_a_slot_is_free(build: MakeHouse) -> None:
    house = build()
    await house.open()
    await house.put("a")
    await house.put_urgent("b")
    await house.clock.move(1.1)

    await house.work.end("a")

    assert house.broker.prefetches() == {QUEUES.public: 1, QUEUES.priority: 1}
    assert house.work.started == ["a", "b"]


async def test_what_got_its_slot_in_time_is_not_given_back(build: MakeHouse) -> None:
    house = build()
    await house.open()
    await house.put("a")
    await house.put_urgent("b")

    await house.work.end("a")
    await house.clock.move(2.0)

    assert house.work.started == ["a", "b"]
    assert len(house.broker.prefetches()) == 2


async def test_an_urgent_foreign_job_is_moved_to_the_private_lane(build: MakeHouse) -> None:
    house = build()
    await house.open()

    await house.put("a", priority=URGENT)

    (copy,) = house.broker.published
    assert (copy.queue, copy.delay) == (QUEUES.priority, 0.0)
    assert house.work.started == []


async def test_a_foreign_job_with_a_delay_is_moved_with_it(build: MakeHouse) -> None:
    house = build()
    await house.open()

    await house.put("a", headers={jobs.DELAY: 2500})

    (copy,) = house.broker.published
    assert (copy.queue, copy.delay) == (QUEUES.priority, 2.5)
    assert jobs.DELAY not in copy.message.properties.headers


async def test_a_normal_job_in_the_private_lane_runs_where_it_is(build: MakeHouse) -> None:
    house = build()
    await house.open()

    await house.put("a", queue=QUEUES.priority)

    assert house.work.started == ["a"]


@pytest.mark.parametrize(
    ("message", "field_named"),
    [
        (a_message(b"[]"), "body: "),
        (a_message(b'{"link": "bad"}'), "link: must be a link"),
        (a_message(headers={jobs.PRIORITY: "urgent"}), "x-job-priority: "),
        (a_message(headers={jobs.DELAY: 10**13}), "x-delay: must be up to 4194303750 ms"),
    ],
    ids=["body", "processor's field", "priority", "delay"],
)
async def test_a_message_that_is_no_job_is_buried_and_takes_no_slot(
    build: MakeHouse, message: Message, field_named: str
) -> None:
    house = build()
    await house.open()

    house.broker.put(QUEUES.public, message)
    await house.put("a")

    (copy,) = house.broker.published
    assert copy.queue == QUEUES.dead
    assert str(copy.message.properties.headers[jobs.ERROR]).startswith(field_named)
    assert house.work.started == ["a"]


async def test_a_pause_gives_back_what_has_not_started_and_lets_the_rest_run(
    build: MakeHouse,
) -> None:
    house = build()
    await house.open()
    await house.put("a")
    await house.put_urgent("b")

    await house.consumer.pause()
    await house.work.end("a")

    assert house.ready(QUEUES.priority) == ["b"]
    assert house.broker.prefetches() == {}
    assert house.work.started == ["a"]


async def test_nothing_is_consumed_while_paused_not_even_on_a_new_session(
    build: MakeHouse,
) -> None:
    house = build()
    session = await house.open()
    await house.consumer.pause()
    session.end()
    house.consumer.lost()

    await house.open()
    assert house.broker.prefetches() == {}
    await house.consumer.resume()

    assert len(house.broker.prefetches()) == 2


async def test_a_drain_returns_when_what_runs_is_settled(build: MakeHouse) -> None:
    house = build()
    await house.open()
    await house.put("a")
    drain = asyncio.ensure_future(house.consumer.drain())
    await settle()
    assert not drain.done()

    await house.work.end("a")

    await asyncio.wait_for(drain, WITHIN)
    assert house.broker.diary[-2:] == ["acked", "settled"]


async def test_a_drain_without_a_session_ends(build: MakeHouse) -> None:
    house = build()

    await asyncio.wait_for(house.consumer.drain(), WITHIN)


async def test_abandoned_work_is_stopped_and_not_acked(build: MakeHouse) -> None:
    house = build()
    session = await house.open()
    await house.put("a")

    await house.consumer.abandon()
    session.end()

    assert house.work.running == {}
    assert house.ready() == ["a"]
    assert "acked" not in house.broker.diary


async def test_work_can_be_abandoned_in_the_moment_it_comes(build: MakeHouse) -> None:
    house = build()
    session = await house.open()
    house.broker.put(QUEUES.public, a_message())
    await asyncio.sleep(0)  # delivered, its task not begun

    await house.consumer.abandon()

    assert len(session.in_hand) == 1
    assert house.work.started == []


async def test_a_running_job_survives_the_end_of_its_session(build: MakeHouse) -> None:
    house = build()
    session = await house.open()
    await house.put("a")

    session.end()
    house.consumer.lost()
    assert "a" in house.work.running
    await house.work.end("a")

    assert house.broker.diary[-1] == "noted completed"
    assert house.ready() == ["a"]  # its ack had no session any more


async def test_a_job_that_survived_its_session_keeps_its_slot_in_the_next(
    build: MakeHouse,
) -> None:
    house = build()
    session = await house.open()
    await house.put("a")
    await house.put_urgent("held")
    session.end()
    house.consumer.lost()

    await house.open()
    assert house.work.started == ["a"]
    await house.work.end("a")

    assert house.work.started == ["a", "held"]


async def test_a_straggler_of_an_ended_session_is_left_to_the_next(build: MakeHouse) -> None:
    house = build()
    session = await house.open()
    receive = next(iter(house.broker.consumers.values())).receive
    straggler = session.hand(a_message(message_id="late")).delivery
    session.end()
    house.consumer.lost()

    receive(straggler)
    await settle()

    assert house.desk.claims == []


async def test_is_consuming_follows_the_session_and_not_the_lanes(build: MakeHouse) -> None:
    house = build()
    assert not house.consumer.is_consuming
    await house.open()
    await house.put("a")
    await house.put_urgent("b")
    await house.clock.move(1.1)
    assert house.consumer.is_consuming

    house.consumer.lost()

    assert not house.consumer.is_consuming


async def test_quick_jobs_get_twice_the_prefetch(build: MakeHouse) -> None:
    house = build(slots=2)
    house.work.is_instant, house.work.duration = True, 0.001
    await house.open()

    await house.put(*[f"j{number}" for number in range(25)])

    assert house.broker.prefetches() == {QUEUES.public: 4, QUEUES.priority: 4}
    assert len(house.work.started) == 25
    assert house.work.most_at_once <= 2


async def test_slow_jobs_keep_one_delivery_a_slot(build: MakeHouse) -> None:
    house = build(slots=2)
    house.work.is_instant, house.work.duration = True, 3.0
    await house.open()

    await house.put(*[f"j{number}" for number in range(25)])

    assert house.broker.prefetches() == {QUEUES.public: 2, QUEUES.priority: 2}


async def test_a_copy_the_broker_refuses_frees_the_slot_and_keeps_the_delivery(
    build: MakeHouse,
) -> None:
    house = build(slots=2)
    session = await house.open()
    house.broker.refusing = {QUEUES.dead}

    house.broker.put(QUEUES.public, a_message(b"[]"))
    await house.put("a")

    assert house.work.started == ["a"]
    assert len(session.in_hand) == 2


async def test_a_session_that_cannot_be_declared_on_is_no_session(build: MakeHouse) -> None:
    house = build()
    session = await house.broker.connect()
    session.trouble = BrokerError("PRECONDITION_FAILED")

    with pytest.raises(BrokerError, match="PRECONDITION_FAILED"):
        await house.consumer.open(session)

    assert not house.consumer.is_consuming
