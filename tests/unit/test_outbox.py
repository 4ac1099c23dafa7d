"""The outbox tells every sink at least once, in the face of refusals, restarts and full disks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.clock import SystemClock
from consumers.retry import RetryPolicy
from supervisor.notify.outbox import AT_A_TIME, LONGEST_WAIT, POLICY, Outbox, next_try
from supervisor.notify.sinks import NotDeliveredError, webhook_names
from tests.support.notices import Box, NoticesInMemory, a_notice, all_delivered

QUICK = RetryPolicy(attempts=3, delay=0.01, max=0.02)


@asynccontextmanager
async def running(store: NoticesInMemory, *sinks: Box) -> AsyncIterator[Outbox]:
    outbox = Outbox(store, sinks, clock=SystemClock(), policy=QUICK)
    await outbox.start()
    try:
        yield outbox
    finally:
        await outbox.stop()


async def test_what_was_left_over_from_before_is_delivered_at_the_start() -> None:
    store, box = NoticesInMemory(a_notice(1), a_notice(2)), Box()

    async with running(store, box):
        await store.until(all_delivered)

    assert sorted(notice.job_id for notice in box.told) == ["1", "2"]


async def test_a_poke_delivers_what_was_just_committed() -> None:
    store, box = NoticesInMemory(), Box()

    async with running(store, box) as outbox:
        store.add(a_notice(1))
        outbox.poke()
        await store.until(all_delivered)

    assert len(box.told) == 1


async def test_a_refused_notice_is_tried_again_until_it_arrives() -> None:
    store, box = NoticesInMemory(a_notice(1)), Box(refusals=2)

    async with running(store, box):
        await store.until(all_delivered)

    assert len(box.told) == 1
    assert store.rows()[0].deliveries == 2
    assert store.rows()[0].error == "the box is shut"


async def test_a_notice_is_given_up_when_its_tries_are_used_up() -> None:
    store, box = NoticesInMemory(a_notice(1)), Box(refusals=99)

    async with running(store, box):
        await store.until(lambda _: bool(store.given_up))

    assert store.rows()[0].deliveries == QUICK.attempts
    assert store.rows()[0].delivered_at is None


async def test_a_sink_that_wants_no_more_is_not_asked_again() -> None:
    store, box = NoticesInMemory(a_notice(1)), Box(refusals=99, final=True)

    async with running(store, box):
        await store.until(lambda _: bool(store.given_up))

    assert store.rows()[0].deliveries == 1


async def test_a_sink_that_does_not_answer_holds_up_no_other() -> None:
    slow, quick = Box("slow"), Box("quick")
    slow.open.clear()
    store = NoticesInMemory(
        *(a_notice(number, sink) for number in range(20) for sink in ("slow", "quick"))
    )

    async with running(store, slow, quick):
        await store.until(lambda rows: all(row.delivered_at for row in rows if row.sink == "quick"))
        assert slow.told == []
        slow.open.set()
        await store.until(all_delivered)

    assert slow.most_at_once == AT_A_TIME


async def test_more_notices_than_fit_into_memory_are_all_delivered() -> None:
    store, box = NoticesInMemory(*(a_notice(number) for number in range(700))), Box()

    async with running(store, box):
        await store.until(all_delivered)

    assert len(box.told) == 700


async def test_a_notice_under_way_at_a_stop_is_delivered_by_the_next_outbox(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("supervisor.notify.outbox.PATIENCE", 0.01)
    store, stuck, box = NoticesInMemory(a_notice(1)), Box(), Box()
    stuck.open.clear()

    async with running(store, stuck):
        await asyncio.wait_for(stuck.asked.wait(), 5)
    async with running(store, box):
        await store.until(all_delivered)

    assert stuck.told == []
    assert len(box.told) == 1


async def test_a_notice_that_arrived_but_could_not_be_noted_is_not_told_twice_by_one_outbox() -> (
    None
):
    store, box = NoticesInMemory(a_notice(1)), Box()
    store.failures = 1

    async with running(store, box) as outbox:
        await asyncio.wait_for(store.failed.wait(), 5)
        outbox.poke()
        await store.until(all_delivered)

    assert len(box.told) == 1


async def test_a_notice_for_a_sink_that_is_gone_waits_and_says_so() -> None:
    store = NoticesInMemory(a_notice(1, "webhook:old.example.org"))

    async with running(store, Box()):
        await store.until(lambda rows: rows[0].error != "")

    assert store.rows()[0].error == "no sink named webhook:old.example.org is configured any more"


async def test_an_outbox_can_be_stopped_twice_and_without_a_start() -> None:
    outbox = Outbox(NoticesInMemory(), [], clock=SystemClock())

    await outbox.stop()
    await outbox.start()
    await outbox.stop()
    await outbox.stop()


def test_tries_go_on_for_about_a_day() -> None:
    total, deliveries = 0.0, 0
    while True:
        delay = next_try(a_notice(deliveries=deliveries), NotDeliveredError("no"), roll=0.5)
        if delay is None:
            break
        total, deliveries = total + delay, deliveries + 1

    assert 20 * 3600 < total < 28 * 3600


def test_a_receiver_may_ask_for_more_time_but_not_for_less_and_not_for_ever() -> None:
    def wait(after: float) -> float | None:
        return next_try(a_notice(), NotDeliveredError("no", after=after), roll=0.0)

    assert wait(120.0) == 120.0
    assert wait(0.0) == POLICY.delay / 2
    assert wait(1e9) == LONGEST_WAIT


@given(deliveries=st.integers(0, 100), roll=st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_longer_than_the_policy_allows(deliveries: int, roll: float) -> None:
    delay = next_try(a_notice(deliveries=deliveries), NotDeliveredError("no"), roll=roll)

    assert (delay is None) == (deliveries + 1 >= POLICY.attempts)
    assert delay is None or POLICY.delay / 2 <= delay <= POLICY.max


@pytest.mark.parametrize(
    ("urls", "names"),
    [
        (["https://a.org/x"], ("webhook:a.org",)),
        (["https://a.org/x", "https://a.org/y"], ("webhook:a.org", "webhook:a.org#2")),
        (["http://u:p@127.0.0.1:80/x", "https://B.org"], ("webhook:127.0.0.1:80", "webhook:b.org")),
    ],
)
def test_a_webhook_is_known_by_its_host_and_nothing_secret(
    urls: list[str], names: tuple[str, ...]
) -> None:
    assert webhook_names(urls) == names
