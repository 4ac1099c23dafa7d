"""Limited pools on each driver: the rate holds, keys are fair, and nothing waits for a permit."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence

import pytest

from consumers.broker.embedded import EmbeddedBroker
from consumers.broker.port import Broker, Message
from consumers.broker.rabbitmq import RabbitBroker
from consumers.clock import SystemClock
from consumers.jobs import Properties
from consumers.topology import pool_queues
from supervisor.client import Client
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from supervisor.ports import Order
from tests.journeys.conftest import Configured
from tests.support.program import Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]

POOL = pool_queues("toy_queue")
BURST = 4
STEP = 0.05  # seconds, of 20/s
LATE = 0.15  # seconds that a start may be late on a busy machine, so that the next is too near
FAST = {"instances": 2, "concurrency": 5, "limits": {"rate": "20/s", "burst": BURST}}
SLOW = {"instances": 2, "concurrency": 3, "limits": {"rate": "2/min"}}
CROWD, OTHERS = 60, 5
LOW = 2  # AMQP priority

Body = Mapping[str, object]


def fill(program: Program, driver: str, queue: str, bodies: Sequence[Body], priority: int) -> None:
    """Put jobs into a queue before the program runs."""

    async def publish(broker: Broker) -> None:
        session = await broker.connect()
        await session.declare(POOL)
        for body in bodies:
            message = Message(json.dumps(body).encode(), Properties(priority=priority))
            await session.publish(queue, message)
        await session.close()

    async def publish_embedded() -> None:
        url = f"sqlite:///{program.folder}/ledger.db"
        ledger = await Ledger.open(url, clock=SystemClock())
        queues = await Queues.open(ledger)
        await publish(EmbeddedBroker(queues.local("test")))
        await queues.close()
        await ledger.close()

    work = publish_embedded() if driver == "embedded" else publish(RabbitBroker(driver))
    asyncio.run(work)


def starts(program: Program, sender: str = "%") -> list[float]:
    """Return when jobs began, in seconds."""
    query = "SELECT started_at / 1e6 FROM jobs WHERE sender LIKE ? AND started_at > 0 ORDER BY 1"
    return [float(row[0]) for row in program.ledger(query, sender)]


def most_over(begun: Sequence[float]) -> float:
    """Return by how many jobs the fullest window had more than its time allows."""
    return max(
        last - first + 1 - (end - start + LATE) / STEP
        for first, start in enumerate(begun)
        for last, end in enumerate(begun[first:], first)
    )


def test_a_limited_pool_never_exceeds_its_rate_by_more_than_the_burst(
    driver: str, configured: Configured
) -> None:
    program = configured({"toy": FAST}, driver)
    fill(program, driver, POOL.public, [{"n": n} for n in range(CROWD)], 0)

    program.start()
    program.wait_for_count("completed", CROWD)

    begun = starts(program)
    assert most_over(begun) <= BURST
    assert begun[-1] - begun[0] >= (CROWD - BURST) * STEP - LATE
    assert program.status().queues[0].limit == "20/s"


def test_the_most_urgent_job_goes_with_the_next_permit(driver: str, configured: Configured) -> None:
    program = configured({"toy": FAST | {"limits": {"rate": "1/s"}}}, driver)
    # All of one lane: while they are in hand nothing more urgent of it would be delivered.
    fill(program, driver, POOL.priority, [{"from": "low"}] * 30, LOW)
    program.start()
    program.wait_for_count("completed", 1)

    with Client(program.socket) as client:
        client.submit(Order("toy", {"from": "urgent"}, priority="critical"))
    before = len(starts(program, "low"))
    program.wait_until(lambda: starts(program, "urgent"), "the urgent job to begin")

    urgent = starts(program, "urgent")[0]
    # One may have been picked meanwhile, one be on its way.
    assert sum(start < urgent for start in starts(program, "low")) <= before + 2


def test_a_pool_that_waits_for_its_rate_stops_at_once(driver: str, configured: Configured) -> None:
    program = configured({"toy": SLOW}, driver)
    fill(program, driver, POOL.public, [{"n": n} for n in range(8)], 0)
    program.start()
    program.wait_for_count("completed", 1)
    program.wait_until(lambda: program.status().queues[0].is_waiting, "it to wait for its rate")
    shown = program.cli("status").stdout
    asked = time.monotonic()

    assert program.stop() == 0

    assert time.monotonic() - asked < 8.0  # the grace that jobs are given
    assert program.count("completed") == 1
    assert program.ledger("SELECT max(attempts), max(crashes) FROM jobs") == [(0, 0)]
    assert "2/min, waiting for its rate" in shown


@pytest.mark.parametrize(
    "limits",
    [{"by": "from", "rate": "5/s"}, {"by": "from", "concurrency": 2}],
    ids=["rate", "concurrency"],
)
def test_one_users_many_jobs_do_not_starve_anothers(
    driver: str, configured: Configured, limits: dict[str, object]
) -> None:
    program = configured({"toy": {"concurrency": 8, "limits": limits}}, driver)
    crowd = [{"do": "sleep", "seconds": 0.5, "from": "crowd"}] * CROWD
    fill(program, driver, POOL.public, [*crowd, *[{"from": "other"}] * OTHERS], 0)
    program.start()

    program.wait_until(lambda: len(starts(program, "other")) == OTHERS, "the others to begin")

    spans = program.ledger("SELECT started_at, finished_at FROM jobs WHERE sender = 'crowd'")
    done = [(start, end) for start, end in spans if end]
    put_aside = program.ledger("SELECT avg(seq), max(attempts) FROM jobs")[0]
    assert sum(start is not None for start, _ in spans) < CROWD // 2
    assert put_aside[0] <= 3
    assert put_aside[1] == 0
    keys = program.ledger("SELECT DISTINCT limit_key FROM jobs ORDER BY 1")
    assert keys == [("crowd",), ("other",)]
    if "concurrency" in limits:
        at_once = [sum(a <= start < b for a, b in done) for start, _ in done]
        assert max(at_once, default=0) <= 2
