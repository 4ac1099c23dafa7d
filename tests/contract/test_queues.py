"""What is special to the embedded queues: whose turn it is, who ended, and what a restart finds."""

import asyncio
import contextlib
import itertools
import random

import pytest

from consumers.broker.operations import (
    Ack,
    Declare,
    Delivered,
    Depth,
    Publish,
    Purge,
    Requeue,
    Subscribe,
    Unsubscribe,
)
from consumers.jobs import Properties
from supervisor.core.records import JobState
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from tests.support.clocks import FakeClock
from tests.support.ledgers import QUEUE, claim

LANE = f"{QUEUE}.priority"


class Worker:
    """A client of the queues that keeps what it is handed."""

    def __init__(self, queues: Queues, name: str) -> None:
        self.name = name
        self._queues = queues
        self._came: asyncio.Queue[Delivered] = asyncio.Queue()
        queues.attach(name, self._came.put_nowait)

    async def consume(self, *, prefetch: int, queue: str = QUEUE) -> None:
        answer = await self._queues.perform(self.name, Subscribe(queue, "c", prefetch))
        assert answer.error == ""

    async def ack(self, delivered: Delivered) -> None:
        assert (await self._queues.perform(self.name, Ack(delivered.tag))).error == ""

    async def give_back(self, delivered: Delivered) -> None:
        assert (await self._queues.perform(self.name, Requeue(delivered.tag))).error == ""

    async def take(self, count: int = 1, *, within: float = 5.0) -> list[Delivered]:
        async with asyncio.timeout(within):
            return [await self._came.get() for _ in range(count)]

    @property
    def waiting(self) -> int:
        return self._came.qsize()


async def publish(queues: Queues, *bodies: bytes, queue: str = QUEUE, delay: float = 0.0) -> None:
    queues.attach("publisher", asyncio.Queue[Delivered]().put_nowait)
    await queues.perform("publisher", Declare((QUEUE, LANE)))
    for body in bodies:
        answer = await queues.perform("publisher", Publish(queue, body, Properties(), delay))
        assert answer.error == ""


async def ready(queues: Queues, queue: str = QUEUE) -> int:
    return (await queues.perform("publisher", Depth(queue))).number


async def test_workers_take_turns(queues: Queues) -> None:
    await publish(queues)
    workers = [Worker(queues, f"w-{n}") for n in range(3)]
    for worker in workers:
        await worker.consume(prefetch=10)

    await publish(queues, *(b"%d" % n for n in range(9)))

    assert [len(await worker.take(3)) for worker in workers] == [3, 3, 3]


async def test_a_worker_whose_hands_are_full_is_passed_by(queues: Queues) -> None:
    await publish(queues)
    small, large = Worker(queues, "small"), Worker(queues, "large")
    await small.consume(prefetch=1)
    await large.consume(prefetch=10)

    await publish(queues, *(b"%d" % n for n in range(6)))

    await large.take(5)
    await small.take(1)
    assert await ready(queues) == 0


async def test_what_a_worker_held_when_it_died_goes_to_the_next_in_its_old_place(
    queues: Queues,
) -> None:
    await publish(queues, b"1", b"2", b"3")
    died = Worker(queues, "died")
    await died.consume(prefetch=2)
    await died.take(2)
    following = Worker(queues, "following")

    await queues.detach("died")
    await following.consume(prefetch=3)

    again = await following.take(3)
    assert [(came.body, came.redelivered) for came in again] == [
        (b"1", True),
        (b"2", True),
        (b"3", False),
    ]


async def test_a_worker_that_is_gone_can_do_nothing_more(queues: Queues) -> None:
    await publish(queues, b"1")
    Worker(queues, "died")

    await queues.detach("died")
    await queues.detach("died")

    answer = await queues.perform("died", Subscribe(QUEUE, "c", 1))
    assert "not attached" in answer.error
    assert await ready(queues) == 1


async def test_a_delivery_cannot_be_settled_by_another_client(queues: Queues) -> None:
    await publish(queues, b"1")
    holder, other = Worker(queues, "holder"), Worker(queues, "other")
    await holder.consume(prefetch=1)
    (held,) = await holder.take()

    await other.ack(held)
    await queues.detach("holder")

    assert await ready(queues) == 1


async def test_after_a_restart_what_was_delivered_comes_again(
    ledger: Ledger, queues: Queues
) -> None:
    await publish(queues, b"1", b"2")
    await publish(queues, b"3", queue=LANE, delay=60)
    worker = Worker(queues, "w-1")
    await worker.consume(prefetch=1)
    await worker.take()
    await queues.close()

    restarted = await Queues.open(ledger)

    following = Worker(restarted, "w-1")
    await following.consume(prefetch=2)
    came = await following.take(2)
    assert [(delivered.body, delivered.redelivered) for delivered in came] == [
        (b"1", True),
        (b"2", False),
    ]
    await restarted.close()


async def test_a_delay_outlives_a_restart(ledger: Ledger, queues: Queues, clock: FakeClock) -> None:
    await publish(queues, b"later", queue=LANE, delay=60)
    await queues.close()
    clock.advance(60)

    restarted = await Queues.open(ledger)

    worker = Worker(restarted, "w-1")
    await worker.consume(prefetch=1, queue=LANE)
    assert (await worker.take())[0].body == b"later"
    await restarted.close()


async def test_delays_end_in_their_order_whatever_the_order_they_came_in(
    queues: Queues, clock: FakeClock
) -> None:
    worker = Worker(queues, "w-1")
    await publish(queues)
    await worker.consume(prefetch=9, queue=LANE)
    for delay in (60.0, 20.0, 40.0):
        await publish(queues, b"%d" % delay, queue=LANE, delay=delay)

    order = []
    for _ in range(3):
        await asyncio.sleep(0)  # let the alarm go to sleep
        clock.advance(20)
        order += [came.body for came in await worker.take()]

    assert order == [b"20", b"40", b"60"]
    assert worker.waiting == 0


async def test_a_result_takes_its_message_along_in_one_transaction(
    ledger: Ledger, queues: Queues
) -> None:
    await publish(queues, b"{}")
    worker = Worker(queues, "w-1")
    await worker.consume(prefetch=1)
    (delivered,) = await worker.take()
    await ledger.begin(claim(), job_id="job-1", pool="download", worker="w-1", attempt=1)

    await ledger.complete(
        QUEUE, "job-1", worker="w-1", result={}, duration=1, notices=(), tag=delivered.tag
    )
    await queues.detach("w-1")

    assert await ready(queues) == 0
    record = await ledger.show("job-1")
    assert record is not None
    assert record.state is JobState.COMPLETED


async def test_the_ack_that_follows_such_a_result_frees_the_hand(
    ledger: Ledger, queues: Queues
) -> None:
    await publish(queues, b"1", b"2")
    worker = Worker(queues, "w-1")
    await worker.consume(prefetch=1)
    (first,) = await worker.take()
    await ledger.begin(claim(), job_id="job-1", pool="download", worker="w-1", attempt=1)
    await ledger.complete(
        QUEUE, "job-1", worker="w-1", result={}, duration=1, notices=(), tag=first.tag
    )

    await worker.ack(first)

    assert (await worker.take())[0].body == b"2"


async def test_a_consumer_that_leaves_while_messages_are_taken_for_it_holds_none(
    queues: Queues,
) -> None:
    await publish(queues, b"1", b"2")
    leaving, following = Worker(queues, "leaving"), Worker(queues, "following")
    await asyncio.gather(
        queues.perform("leaving", Subscribe(QUEUE, "c", 2)),
        queues.perform("leaving", Unsubscribe("c")),
    )

    await following.consume(prefetch=2)

    came = await following.take(2)
    assert [(delivered.body, delivered.redelivered) for delivered in came] == [
        (b"1", False),
        (b"2", False),
    ]
    assert leaving.waiting == 0


@pytest.mark.invariant(1)
async def test_whatever_workers_do_each_message_is_acked_once_and_none_is_lost(
    queues: Queues,
) -> None:
    dice = random.Random(20261122)  # noqa: S311 - the same story in every run
    sent = [b"%d" % n for n in range(200)]
    await publish(queues, *sent)
    acked: list[bytes] = []
    names = itertools.count()

    async def live() -> None:
        while len(acked) < len(sent):
            worker = Worker(queues, f"w-{next(names)}")
            await worker.consume(prefetch=dice.randint(1, 5))
            await work(worker)
            await queues.detach(worker.name)

    async def work(worker: Worker) -> None:
        while len(acked) < len(sent) and dice.random() > 0.1:
            with contextlib.suppress(TimeoutError):
                (delivered,) = await worker.take(within=0.1)
                if dice.random() > 0.2:
                    await worker.ack(delivered)
                    acked.append(delivered.body)
                else:
                    await worker.give_back(delivered)

    await asyncio.gather(*(live() for _ in range(4)))

    assert sorted(acked) == sorted(sent)
    assert await ready(queues) == 0


async def test_a_tag_is_never_given_twice(queues: Queues) -> None:
    worker = Worker(queues, "w-1")
    await publish(queues)
    await worker.consume(prefetch=1)
    tags = []
    for _ in range(3):
        await publish(queues, b"{}")
        (delivered,) = await worker.take()
        tags.append(delivered.tag)
        await worker.ack(delivered)

    assert tags == sorted(set(tags))


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (Publish("nowhere", b"", Properties()), "nowhere: there is no such queue"),
        (Subscribe("nowhere", "c", 1), "nowhere: there is no such queue"),
        (Subscribe(QUEUE, "c", 0), "prefetch"),
        (Publish(QUEUE, b"", Properties(), 1.0), "cannot be delayed"),
    ],
)
async def test_a_refusal_says_what_is_wrong(
    queues: Queues, operation: Publish | Subscribe, words: str
) -> None:
    await publish(queues)

    assert words in (await queues.perform("publisher", operation)).error


async def test_settling_what_is_not_in_hand_is_fine(queues: Queues) -> None:
    await publish(queues)

    assert (await queues.perform("publisher", Ack(4711))).error == ""
    assert (await queues.perform("publisher", Requeue(4711))).error == ""


async def test_a_purge_of_many_goes_in_batches_and_takes_the_delayed_only_if_asked(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.ledger.queues.PURGED_AT_ONCE", 2)
    await publish(queues, b"1", b"2", b"3", b"4", b"5", queue=LANE)
    await publish(queues, b"later", queue=LANE, delay=60.0)

    assert (await queues.perform("publisher", Purge(LANE))).number == 5
    assert (await queues.perform("publisher", Purge(LANE, delayed=True))).number == 1
    assert (await queues.perform("publisher", Purge(LANE, delayed=True))).number == 0
