"""Every way a connection with RabbitMQ goes wrong: what is said, how soon jobs run again, no loss.

One table, each row a fault that ends before the row's function returns. The worker is one of ours
with all but the process around it; the publisher is another program, straight to the broker.
"""

import asyncio
import gc
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiormq
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from consumers.broker import amqp_client, rabbitmq
from tests.support import publisher
from tests.support.fault_proxy import FaultProxy
from tests.support.lines import POOL, Line
from tests.support.rabbitmq import PrivateRabbit
from tests.support.talk import foreign

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(60)]

Act = Callable[[Line], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """What happens, what the operator reads, and how soon the worker must consume again."""

    name: str
    act: Act
    said: str  # in some line: what went wrong, in the broker's words where it spoke (a pattern)
    hint: str  # in the same line: what to do
    within: float = 5.0  # seconds after the fault has ended
    keeps: bool = True  # the ready messages of the queue


async def reset(line: Line) -> None:
    line.proxy.reset()


async def refuse(line: Line) -> None:
    line.proxy.refuse()
    line.proxy.reset()
    await line.until(lambda: any("refused" in said for said in line.said), "a refusal")
    line.proxy.heal()


async def restart(line: Line) -> None:
    await asyncio.to_thread(line.rabbit.restart)


async def close_by_hand(line: Line) -> None:
    await line.ctl("close_all_connections", "--vhost", line.vhost, "moving house")


async def delete(line: Line) -> None:
    await foreign(line.url, lambda channel: channel.queue_delete(POOL.public))


async def change(line: Line) -> None:
    def alter(channel: BlockingChannel) -> None:
        channel.queue_delete(POOL.public)
        channel.queue_declare(POOL.public, durable=True, arguments={"x-max-length": 9000})

    await foreign(line.url, alter)


async def change_ours(line: Line) -> None:
    """Have somebody declare our private queue in a way of their own, then put it right."""

    def alter(channel: BlockingChannel) -> None:
        channel.queue_delete(POOL.priority)
        channel.queue_declare(POOL.priority, durable=True)

    await foreign(line.url, alter)
    await line.until(lambda: any("inequivalent" in said for said in line.said), "a mismatch")
    await foreign(line.url, lambda channel: channel.queue_delete(POOL.priority))


async def delete_vhost(line: Line) -> None:
    await line.ctl("delete_vhost", line.vhost)
    await line.until(lambda: any("not found" in said for said in line.said), "a missing vhost")
    await line.ctl("add_vhost", line.vhost)
    await permit(line, ".*")


async def revoke(line: Line) -> None:
    await permit(line, "^$")
    line.proxy.reset()
    await line.until(lambda: any("ACCESS_REFUSED" in said for said in line.said), "a refusal")
    await permit(line, ".*")


async def permit(line: Line, what: str) -> None:
    await line.ctl("set_permissions", "-p", line.vhost, "guest", what, what, what)


BY_OURSELVES = "nothing: we come back"
FAULTS = [
    Fault("reset", reset, "Server connection reset", BY_OURSELVES),
    Fault("refused", refuse, "connection refused", "start RabbitMQ"),
    # Killed it is in test_rabbitmq_session.py, and for the whole program in test_outages.py.
    # Its farewell is lost when it closes a line on which something of ours is still unread.
    Fault("restarted", restart, "CONNECTION_FORCED|connection lost", BY_OURSELVES, within=8.0),
    Fault("closed by hand", close_by_hand, "CONNECTION_FORCED - moving house", BY_OURSELVES),
    Fault("queue deleted", delete, "cancelled by the broker", "is made anew", keeps=False),
    Fault("queue made anew", change, "cancelled by the broker", "is made anew", keeps=False),
    Fault(
        "private queue changed",
        change_ours,
        "PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'clips.priority'",
        "x-max-priority = none and we need 5: delete it",
    ),
    Fault("vhost gone", delete_vhost, "NOT_ALLOWED - vhost", "rabbitmqctl add_vhost", keeps=False),
    Fault("permission revoked", revoke, "ACCESS_REFUSED", "rabbitmqctl set_permissions"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_is_said_with_what_to_do_and_work_goes_on_without_loss(
    fault: Fault, rabbit: PrivateRabbit, vhost_url: str
) -> None:
    async with Line(rabbit, vhost_url) as line:
        promised = await give_work(line, fault)

        await fault.act(line)

        line.gate.set()
        ended = time.monotonic()
        await line.until(lambda: line.opened_times > 1, "the next session")
        await line.publish("after")
        await line.until_ran("after")
        took = time.monotonic() - ended
        await line.until_ran(*promised)
        await line.drain()

    lines = [said for said in line.said if re.search(fault.said, said)]
    assert lines, line.said
    assert fault.hint in lines[0]
    assert took < fault.within
    await asyncio.to_thread(publisher.wait_until_empty, vhost_url, POOL.public, POOL.priority)


async def test_jobs_that_wait_in_the_delay_ladder_survive_the_deletion_of_their_queues(
    any_rabbit: PrivateRabbit, any_vhost_url: str
) -> None:
    async with Line(any_rabbit, any_vhost_url) as line:
        await line.publish("fails once")
        await line.until(lambda: "settled" in line.desk.diary, "the copy to be stored")

        def delete_both(channel: BlockingChannel) -> None:
            channel.queue_delete(POOL.public)
            channel.queue_delete(POOL.priority)

        await foreign(any_vhost_url, delete_both)

        await line.until(lambda: line.ran.count("fails once") == 2, "the second attempt")


@pytest.mark.invariant(11)
async def test_a_line_that_fell_silent_is_given_up_by_the_heartbeat(
    rabbit: PrivateRabbit,
) -> None:
    """A black hole, a frozen peer, half-open connections: all at once, for they take long."""
    silent = "no sign of life for 6 s"
    await asyncio.gather(
        fall_silent(rabbit, FaultProxy.black_hole, silent),
        fall_silent(rabbit, FaultProxy.freeze, silent),
        fall_silent(rabbit, FaultProxy.half_open, silent),
        # Here it is the broker who must find out, and keeps what it had delivered until then.
        fall_silent(rabbit, lambda proxy: proxy.half_open("client"), "unexpectedly closed"),
    )


async def fall_silent(
    rabbit: PrivateRabbit, fault: Callable[[FaultProxy], None], words: str
) -> None:
    url = await asyncio.to_thread(rabbit.fresh_vhost)
    async with Line(rabbit, url, query="?heartbeat=1") as line:
        await line.publish("held 1")
        await line.until(lambda: bool(line.desk.claims), "the job to be in hand")

        fault(line.proxy)
        await line.publish("ready")
        await line.until(lambda: bool(line.said), "the silence to be heard", within=12.0)
        line.proxy.heal()

        await line.until_ran("ready", within=10.0)
        line.gate.set()
        await line.until_ran("held 1")
        await line.drain()
    assert words in line.said[0]
    assert BY_OURSELVES in line.said[0]


async def test_a_slow_line_is_no_fault(rabbit: PrivateRabbit, vhost_url: str) -> None:
    async with Line(rabbit, vhost_url) as line:
        line.proxy.slow(5000)
        names = [f"slow {number}" for number in range(20)]
        await line.publish(*names)

        await line.until_ran(*names)

        await line.drain()
    assert line.said == []


async def test_a_job_longer_than_the_brokers_limit_is_said_with_the_limit(
    any_rabbit: PrivateRabbit, any_vhost_url: str
) -> None:
    async with consumer_timeout(any_rabbit, 1000), Line(any_rabbit, any_vhost_url) as line:
        await line.publish("held 1")

        await line.until(lambda: bool(line.said), "the broker to close the channel")

        line.gate.set()
        await line.until_ran("held 1")
        await line.drain()
    assert "PRECONDITION_FAILED - delivery acknowledgement on channel" in line.said[0]
    assert "the broker's consumer_timeout of 1000 ms" in line.said[0]
    assert "set park_after to less than half of that" in line.said[0]


async def test_an_alarm_lets_jobs_finish_and_copies_wait_until_it_is_over(
    any_rabbit: PrivateRabbit, any_vhost_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amqp_client, "CONFIRM", 1.0)  # seconds; the alarm lasts longer
    async with Line(any_rabbit, any_vhost_url) as line:
        await line.publish("held 1", "held 2", "held, then fails", "ready 1", "ready 2")
        await line.until(lambda: len(line.desk.claims) == 3, "the jobs to be in hand")
        async with memory_alarm(any_rabbit):
            line.gate.set()
            await line.until_ran("held 1", "held 2", "held, then fails", "ready 1", "ready 2")
            await line.until(lambda: bool(line.alarms), "the alarm to be heard")
            overdue = time.monotonic() + 1.5
            await line.until(lambda: time.monotonic() > overdue, "the usual deadline to pass")
            await line.until(lambda: line.desk.diary.count("settled") == 4, "the acks")
        assert line.ran.count("held, then fails") == 1

        await line.until(lambda: line.ran.count("held, then fails") == 2, "the copy to come")
        await line.drain()
    alarm, over = line.alarms
    assert "the broker has an alarm (low on memory) and takes no publish" in alarm
    assert "free memory or disk" in alarm
    assert over == ""
    assert line.said == []  # the session has outlived it
    await asyncio.to_thread(publisher.wait_until_empty, any_vhost_url, POOL.public, POOL.priority)


async def test_a_consumer_that_is_lost_without_a_word_is_missed_within_seconds(
    any_rabbit: PrivateRabbit, any_vhost_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rabbitmq.WATCH <= 5.0
    monkeypatch.setattr(rabbitmq, "WATCH", 0.5)
    async with Line(any_rabbit, any_vhost_url) as line:
        for channel in wires(POOL.public):
            channel.consumers.clear()

        await line.until(lambda: bool(line.said), "the loss to be noticed")

        assert "its consumer is gone" in line.said[0]
        await line.until(lambda: line.opened_times == 2, "the next session")
        await line.publish("after")
        await line.until_ran("after", within=5.0)
        await line.drain()


def wires(queue: str) -> list[aiormq.Channel]:
    """Return the open channels that consume a queue; nobody else can reach into them."""
    found = [one for one in gc.get_objects() if isinstance(one, aiormq.Channel)]
    return [one for one in found if any(tag.startswith(f"{queue}-") for tag in one.consumers)]


async def give_work(line: Line, fault: Fault) -> set[str]:
    """Have jobs ready and in hand; return those that must be done in the end."""
    held = ["held 1", "held 2"]
    await line.publish(*held)
    await line.until(lambda: len(line.desk.claims) == 2, "the jobs to be in hand")
    if not fault.keeps:
        return set(held)
    ready = [f"ready {number}" for number in range(10)]
    await line.publish(*ready)
    return {*held, *ready}


@asynccontextmanager
async def memory_alarm(rabbit: PrivateRabbit) -> AsyncIterator[None]:
    await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "0.000001")
    try:
        yield
    finally:
        await asyncio.to_thread(rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1GB")


@asynccontextmanager
async def consumer_timeout(rabbit: PrivateRabbit, limit: int) -> AsyncIterator[None]:
    """Have channels that are opened now allow only ``limit`` ms for a job."""
    await set_limit(rabbit, limit, 200)
    try:
        yield
    finally:
        await set_limit(rabbit, 1_800_000, 60_000)


async def set_limit(rabbit: PrivateRabbit, limit: int, tick: int) -> None:
    await asyncio.to_thread(
        rabbit.ctl,
        "eval",
        f"application:set_env(rabbit, consumer_timeout, {limit}),"
        f" application:set_env(rabbit, channel_tick_interval, {tick}).",
    )
