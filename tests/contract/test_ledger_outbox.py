"""Notices wait in the ledger until they are told or given up; the newest incidents stay."""

import asyncio
from datetime import timedelta

import msgspec

from supervisor.core.records import Incident
from supervisor.ledger import incidents
from supervisor.ledger.store import Ledger
from tests.support.clocks import START, FakeClock
from tests.support.ledgers import QUEUE, claim, notice


async def put(ledger: Ledger, *sinks: str) -> None:
    await ledger.begin(claim(), job_id="job-1", pool="download", worker="d-1", attempt=1)
    await ledger.complete(
        QUEUE,
        "job-1",
        worker="d-1",
        result={},
        duration=1,
        notices=[notice(sink=sink) for sink in sinks],
    )


async def sinks(ledger: Ledger, clock: FakeClock, *, limit: int = 10) -> list[str]:
    return [waiting.sink for waiting in await ledger.due(clock.utcnow(), limit)]


async def test_a_notice_is_due_at_once_and_as_it_was_put_in(
    ledger: Ledger, clock: FakeClock
) -> None:
    await put(ledger, "log")

    assert await ledger.due(clock.utcnow(), 10) == (
        msgspec.structs.replace(notice(), due_at=START),
    )
    assert await ledger.next_due() == START


async def test_each_sink_has_its_own_notice_and_only_one(ledger: Ledger, clock: FakeClock) -> None:
    await put(ledger, "log", "webhook", "log")

    assert await sinks(ledger, clock) == ["log", "webhook"]
    assert await sinks(ledger, clock, limit=1) == ["log"]


async def test_a_notice_that_was_told_is_not_told_again(ledger: Ledger, clock: FakeClock) -> None:
    await put(ledger, "log", "webhook")

    await ledger.delivered(notice().key, "log")

    assert await sinks(ledger, clock) == ["webhook"]


async def test_a_postponed_notice_waits_for_its_time(ledger: Ledger, clock: FakeClock) -> None:
    await put(ledger, "webhook")
    later = START + timedelta(seconds=10)

    await ledger.postpone(notice().key, "webhook", error="503 from the receiver", due_at=later)

    assert await sinks(ledger, clock) == []
    assert await ledger.next_due() == later
    clock.advance(10)
    again = (await ledger.due(clock.utcnow(), 10))[0]
    assert (again.deliveries, again.error) == (1, "503 from the receiver")


async def test_a_notice_that_is_given_up_is_never_due(ledger: Ledger, clock: FakeClock) -> None:
    await put(ledger, "webhook")

    await ledger.postpone(notice().key, "webhook", error="404 from the receiver", due_at=None)

    clock.advance(1_000_000)
    assert await sinks(ledger, clock) == []
    assert await ledger.next_due() is None


async def test_incidents_are_listed_newest_first(ledger: Ledger) -> None:
    first = Incident("d-1", "download", "hang", "no heartbeat for 30 s", START, stack="File ...")
    second = Incident(
        "d-2", "download", "crash", "killed by SIGKILL", START, "SIGKILL", 4711, ("job-1",)
    )

    await ledger.record(first)
    await ledger.record(second)

    assert await ledger.incidents(limit=10) == (second, first)
    assert await ledger.incidents(limit=1) == (second,)
    assert await ledger.incidents("d-1") == (first,)
    assert await ledger.incidents("nobody") == ()


async def test_only_the_newest_incidents_are_kept(ledger: Ledger) -> None:
    many = [
        Incident("d-1", "download", "crash", f"crash {number}", START)
        for number in range(incidents.KEPT + 5)
    ]

    await asyncio.gather(*(ledger.record(incident) for incident in many))

    kept = await ledger.incidents(limit=len(many))
    assert (len(kept), kept[0].why, kept[-1].why) == (1_000, "crash 1004", "crash 5")
