"""One worker's consuming over each broker: claimed, run, settled, retried, buried, paused."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from consumers import jobs
from consumers.broker.port import Broker, Message, Session
from consumers.clock import SystemClock
from consumers.consumer import Consumer, Lanes
from consumers.dead_letters import DeadLetterConsumer
from consumers.errors import BrokerError
from consumers.executor import Executor
from consumers.jobs import Envelope, Job, Properties
from consumers.outcome import Completed, Failed, Failure, Outcome
from consumers.retry import Backoff, Jitter, ReconnectPolicy, RetryPolicy
from consumers.sessions import Sessions
from consumers.topology import pool_queues
from tests.support.desks import FakeDesk

POOL = pool_queues("clips")
RETRY = RetryPolicy(attempts=3, backoff=Backoff.FIXED, delay=0.3, jitter=Jitter.NONE)
PATIENCE = 10.0  # seconds

Act = Callable[[Job], Outcome]


def well(_job: Job) -> Outcome:
    return Completed({}, 0.0)


def badly(_job: Job) -> Outcome:
    return Failed(Failure("no luck", code="network"), 0.0)


@dataclass
class Stage:
    """A worker's consumers over a broker, with a fake coordinator behind them."""

    broker: Broker
    session: Session  # the publisher's
    desk: FakeDesk = field(default_factory=FakeDesk)
    act: Act = well
    ran: list[Job] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()
        clock = SystemClock()
        executor = Executor(POOL, RETRY, self.desk, self.run, clock)
        lanes = Lanes(POOL, 1, 1_000_000, _anything)
        self.consumer = Consumer(lanes, executor, clock)
        letters = DeadLetterConsumer(POOL, self.desk)
        tenants = (self.consumer, letters)
        self.sessions = Sessions(self.broker, tenants, self, ReconnectPolicy(), clock)

    def opened(self, peer: str) -> None:
        """Nobody watches."""

    def troubled(self, error: BrokerError, failed: int, delay: float) -> None:
        """Nobody watches."""

    async def run(self, job: Job) -> Outcome:
        self.ran.append(job)
        async with self.changed:
            self.changed.notify_all()
        await self.gate.wait()
        return self.act(job)

    async def publish(self, queue: str, *bodies: object, **properties: object) -> None:
        for body in bodies:
            message = Message(
                json.dumps(body).encode(),
                Properties(**properties),  # type: ignore[arg-type] # named by the tests
            )
            await self.session.publish(queue, message)

    async def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, (self.desk.diary, self.ran)
            await asyncio.sleep(0.01)

    async def delivered(self, queue: str) -> None:
        """Wait until a queue has no ready message."""
        deadline = time.monotonic() + PATIENCE
        while await self.session.depth(queue):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

    async def empty(self) -> None:
        """Wait until no queue of the pool has a ready message."""
        for queue in (POOL.public, POOL.priority, POOL.dead):
            await self.delivered(queue)


def _anything(_envelope: Envelope) -> None:
    """Accept every job."""


@pytest.fixture
async def stage(broker: Broker, session: Session) -> AsyncIterator[Stage]:
    """A stage whose consumers run; its queues are declared."""
    await session.declare(POOL)
    made = Stage(broker, session)
    task = asyncio.create_task(made.sessions.run())
    yield made
    made.gate.set()
    await made.consumer.abandon()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_job_is_claimed_run_noted_and_acked(stage: Stage) -> None:
    await stage.publish(POOL.public, {"link": "a", "from": "ana"})

    await stage.until(lambda: "settled" in stage.desk.diary)

    assert stage.desk.diary[:3] == ["started", "noted completed", "settled"]
    assert stage.desk.claims[0].sender == "ana"
    await stage.empty()


async def test_a_failed_job_comes_back_as_a_numbered_copy_and_then_dies(stage: Stage) -> None:
    stage.act = badly

    await stage.publish(POOL.public, {"link": "a"})
    await stage.until(lambda: bool(stage.desk.letters))

    assert [job.attempt for job in stage.ran] == [1, 2, 3]
    assert [claim.seq for claim in stage.desk.claims] == [0, 1, 2]
    assert stage.desk.letters[0].failure.message == "no luck"
    assert stage.desk.letters[0].body == b'{"link": "a"}'
    await stage.empty()


async def test_a_retry_waits_for_its_delay(stage: Stage) -> None:
    stage.act = badly
    moments: list[float] = []

    await stage.publish(POOL.public, {"link": "a"})
    await stage.until(lambda: len(stage.ran) == 1)
    moments.append(time.monotonic())
    await stage.until(lambda: len(stage.ran) == 2)
    moments.append(time.monotonic())

    assert moments[1] - moments[0] >= RETRY.delay - 0.05


async def test_a_permanent_failure_is_buried_at_once(stage: Stage) -> None:
    failure = Failure("gone", code="not_found", permanent=True)
    stage.act = lambda _job: Failed(failure, 0.0)

    await stage.publish(POOL.public, {"link": "a"})
    await stage.until(lambda: bool(stage.desk.letters))

    assert len(stage.ran) == 1
    assert stage.desk.letters[0].failure.code == "not_found"


async def test_what_is_no_job_is_buried_with_the_field_named(stage: Stage) -> None:
    await stage.publish(POOL.public, ["not", "an", "object"])

    await stage.until(lambda: bool(stage.desk.letters))

    assert stage.desk.letters[0].failure.message == "body: must be a JSON object, is an array"
    assert not stage.ran


async def test_a_message_whose_headers_fill_a_frame_is_buried_all_the_same(stage: Stage) -> None:
    await stage.publish(POOL.public, ["no job"], headers={"filler": "x" * 130_800})

    await stage.until(lambda: bool(stage.desk.letters))

    assert stage.desk.letters[0].body == b'["no job"]'
    assert stage.desk.letters[0].failure.code == "bad_message"
    assert not stage.consumer.holds


async def test_the_most_urgent_of_both_lanes_goes_first(stage: Stage) -> None:
    await stage.until(lambda: stage.sessions.current is not None)
    await stage.consumer.hold("operator", "paused")
    await stage.publish(POOL.public, {"n": "normal"})
    await stage.publish(POOL.priority, {"n": "low"}, headers={jobs.PRIORITY: "low"})
    await stage.publish(POOL.priority, {"n": "critical"}, headers={jobs.PRIORITY: "critical"})

    stage.gate.clear()
    await stage.consumer.release("operator")
    await stage.delivered(POOL.public)
    stage.gate.set()
    await stage.until(lambda: len(stage.ran) == 3)

    assert [job.data["n"] for job in stage.ran] == ["critical", "normal", "low"]


async def test_a_paused_consumer_takes_nothing_and_resumes(stage: Stage) -> None:
    await stage.publish(POOL.public, {"n": 1})
    await stage.until(lambda: len(stage.ran) == 1)
    await stage.consumer.hold("operator", "paused")

    await stage.publish(POOL.public, {"n": 2})
    await asyncio.sleep(0.05)

    assert len(stage.ran) == 1
    await stage.consumer.release("operator")
    await stage.until(lambda: len(stage.ran) == 2)


async def test_what_was_not_finished_goes_back_when_a_worker_is_stopped(stage: Stage) -> None:
    stage.gate.clear()
    await stage.publish(POOL.public, {"n": 1})
    await stage.until(lambda: len(stage.ran) == 1)

    await stage.until(lambda: stage.sessions.current is not None)
    await stage.consumer.abandon()
    assert stage.sessions.current is not None
    await stage.sessions.current.close()

    deadline = time.monotonic() + PATIENCE
    while await stage.session.depth(POOL.public) + len(stage.ran) < 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
