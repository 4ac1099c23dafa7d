"""How a worker of a pool with a rate waits for its permits, and what that never keeps waiting."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from consumers.desk import Drop
from tests.support.clocks import settle
from tests.support.sessions import QUEUES
from tests.unit.consumers.conftest import House, MakeHouse

LOW = 2  # AMQP priority


@dataclass
class Gate:
    """A turnstile whose permits the test grants."""

    asked: dict[int, Callable[[], None]] = field(default_factory=dict)
    withdrawn: list[int] = field(default_factory=list)
    tickets: int = 0

    def ask(self, granted: Callable[[], None]) -> int:
        self.tickets += 1
        self.asked[self.tickets] = granted
        return self.tickets

    def withdraw(self, ticket: int) -> None:
        self.asked.pop(ticket, None)
        self.withdrawn.append(ticket)

    async def grant(self, permits: int = 1) -> None:
        for _ in range(permits):
            self.asked.pop(min(self.asked))()
        await settle()


@pytest.fixture
def gate() -> Gate:
    return Gate()


async def opened(build: MakeHouse, gate: Gate, *, slots: int = 3) -> House:
    house = build(slots=slots, turnstile=gate)
    await house.open()
    return house


async def test_no_job_begins_before_its_permit_is_there(build: MakeHouse, gate: Gate) -> None:
    house = await opened(build, gate)

    await house.put("a", "b")
    assert house.work.started == []
    await gate.grant()

    assert house.work.started == ["a"]


async def test_permits_are_asked_for_jobs_that_have_a_slot(build: MakeHouse, gate: Gate) -> None:
    house = await opened(build, gate, slots=2)

    await house.put("a")
    assert len(gate.asked) == 1
    await house.put("b")
    await house.put_urgent("c", "d")

    assert len(gate.asked) == 2


async def test_with_its_permit_goes_the_most_urgent_job_of_that_moment(
    build: MakeHouse, gate: Gate
) -> None:
    house = await opened(build, gate)
    await house.put("a", "b")
    await house.put_urgent("urgent")

    await gate.grant()

    assert house.work.started == ["urgent"]


async def test_what_waits_for_its_rate_goes_back_after_a_second(
    build: MakeHouse, gate: Gate
) -> None:
    house = await opened(build, gate)
    await house.put("a", "b")

    await house.clock.move(1.1)

    assert sorted(str(one) for one in house.ready()) == ["a", "b"]
    assert house.broker.prefetches() == {}
    assert len(gate.asked) == 1


async def test_after_a_long_wait_the_most_urgent_job_of_the_queue_goes_first(
    build: MakeHouse, gate: Gate
) -> None:
    house = await opened(build, gate, slots=1)
    await house.put_urgent("low", "low too", priority=LOW)
    await house.clock.move(1.1)
    await house.put_urgent("urgent")  # would not be delivered while the others are in hand

    await gate.grant()
    await house.clock.move(0.1)

    assert house.work.started == ["urgent"]


async def test_a_permit_that_finds_no_job_goes_back(build: MakeHouse, gate: Gate) -> None:
    house = await opened(build, gate)
    await house.put("a", "b")
    await house.clock.move(1.1)
    house.broker.ready.clear()  # another worker has taken them

    await gate.grant()
    assert len(house.broker.prefetches()) == 2
    await house.clock.move(0.1)
    await house.clock.move(1.1)

    assert gate.withdrawn[-1] == 1
    assert gate.asked == {}


async def test_a_job_that_does_not_run_leaves_its_permit_to_the_next(
    build: MakeHouse, gate: Gate
) -> None:
    house = await opened(build, gate)
    house.desk.verdict = Drop("a", "settled")
    house.desk.open.clear()
    await house.put("a", "b")
    await gate.grant()

    house.desk.verdict = None
    house.desk.open.set()
    await settle()

    assert house.work.started == ["a"]
    house.desk.verdict = Drop("b", "settled")
    await gate.grant()
    house.desk.verdict = None
    await house.put("c")

    assert house.work.started == ["a", "c"]


async def test_a_pause_gives_back_jobs_and_permits_at_once(build: MakeHouse, gate: Gate) -> None:
    house = await opened(build, gate)
    await house.put("a", "b")

    await house.consumer.hold("operator", "paused")

    assert sorted(str(one) for one in house.ready()) == ["a", "b"]
    assert gate.asked == {}


async def test_a_pause_of_a_worker_that_has_shut_ends_its_wait(
    build: MakeHouse, gate: Gate
) -> None:
    house = await opened(build, gate)
    await house.put("a")
    await house.clock.move(1.1)

    await house.consumer.hold("operator", "paused")
    assert gate.asked == {}
    await house.consumer.release("operator")
    await settle()

    assert len(gate.asked) == 1


@pytest.mark.parametrize("wait", [0.0, 1.1], ids=["holding", "shut"])
async def test_a_drain_waits_for_no_permit(build: MakeHouse, gate: Gate, wait: float) -> None:
    house = await opened(build, gate)
    await house.put("a", "b")
    await house.clock.move(wait)

    await asyncio.wait_for(house.consumer.drain(), 1.0)

    assert sorted(str(one) for one in house.ready()) == ["a", "b"]
    assert gate.asked == {}
    assert house.work.started == []


async def test_a_lost_session_forgets_its_permits(build: MakeHouse, gate: Gate) -> None:
    house = build(slots=3, turnstile=gate)
    session = await house.open()
    await house.put("a", "b")

    session.end()
    house.consumer.lost()
    assert gate.asked == {}
    await house.open()

    assert len(gate.asked) == 2


async def test_a_worker_without_a_free_slot_asks_for_nothing(build: MakeHouse, gate: Gate) -> None:
    house = await opened(build, gate, slots=1)
    await house.put("a")
    await gate.grant()
    await house.put_urgent("b")
    assert gate.asked == {}

    await house.work.end("a")

    assert len(gate.asked) == 1
    assert house.ready(QUEUES.priority) == []
