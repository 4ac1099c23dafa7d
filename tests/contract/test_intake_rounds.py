"""The intake at work: beside other coordinators and programs, woken, and held back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest

from consumers.clock import SystemClock
from supervisor.core.intake import Pace
from supervisor.intake import FULL, Intake
from supervisor.ledger import intake, publishing, retention
from supervisor.ledger.listening import INTAKE, listen
from supervisor.ledger.store import Ledger
from tests.support.clocks import START, FakeClock, settle
from tests.support.ledgers import to_publish
from tests.support.postgresql import PrivatePostgres
from tests.support.rows import TERMS, Tell, put, row, take, tell
from tests.support.waiting import wait_until

__all__ = ["tell"]


@pytest.fixture
async def looking(ledger: Ledger) -> AsyncIterator[Callable[..., Intake]]:
    """Intakes at work."""
    tasks: list[asyncio.Task[None]] = []

    def start(pace: Pace = Pace(), **how: Any) -> Intake:  # noqa: B008 - frozen
        made = Intake(ledger, TERMS, pace, lambda: None, is_alone=True)
        tasks.append(asyncio.create_task(made.run(**how)))
        return made

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.postgres
async def test_several_coordinators_take_each_row_once(
    server_ledger: Ledger, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as server:
        words = "INSERT INTO intake (queue_name) SELECT 'clips' FROM generate_series(1, 200)"
        server.execute(words)
    other = await Ledger.open(postgres_url, clock=SystemClock(), node="node-b")
    with psycopg.connect(postgres_url) as third:  # one that is just in the middle of it
        third.execute("SELECT * FROM intake LIMIT 10 FOR UPDATE")
        batches = await asyncio.gather(*(take(one, 20) for one in (server_ledger, other) * 6))
    rest = await take(other)
    mine, theirs = await to_publish(server_ledger), await to_publish(other)
    await other.close()

    assert sum(batch.entered for batch in batches) == 190
    assert rest.entered == 10
    assert len({each.id for each in mine} | {each.id for each in theirs}) == 200
    assert len(mine) + len(theirs) == 200


async def test_where_others_share_the_ledger_rows_for_their_queues_wait(
    ledger: Ledger, tell: Tell
) -> None:
    put(tell, "theirs", queue_name="elsewhere")
    put(tell, "ours")
    before = await ledger.read(partial(intake.has_some, names=("elsewhere",)))
    loaded = await take(ledger, names=("clips", "download"))
    strange = await ledger.read(partial(intake.strangers, names=("clips",)))

    assert (loaded.entered, loaded.refused, list(strange)) == (1, [], ["elsewhere"])
    assert (row(tell, "theirs")["status"], row(tell, "ours")["status"]) == ("pending", "waiting")
    assert before
    assert not await ledger.read(partial(intake.has_some, names=("clips",)))


@pytest.mark.postgres
async def test_a_row_that_another_program_holds_does_not_hold_up_its_job(
    server_ledger: Ledger, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url) as other:
        other.execute("INSERT INTO intake (id, queue_name) VALUES ('row-1', 'clips')")
        other.commit()
        await take(server_ledger)
        other.execute("SELECT * FROM intake FOR UPDATE")
        await asyncio.wait_for(server_ledger.cancel("clips", "row-1"), 2)
        day = START + timedelta(days=300)
        gone = server_ledger.write(partial(retention.remove_intake, before=day))
        assert await asyncio.wait_for(gone, 2) == 0
        await server_ledger.write(intake.repay)
        still_owed = await server_ledger.read(intake.is_owing)
        other.rollback()
        await server_ledger.write(intake.repay)
        rows = other.execute("SELECT status FROM intake").fetchall()

    assert still_owed
    assert rows == [("cancelled",)]
    assert not await server_ledger.read(intake.is_owing)


async def test_a_file_is_looked_into_every_interval(
    ledger: Ledger, clock: FakeClock, tell: Tell, looking: Callable[..., Intake]
) -> None:
    loader = looking(Pace(batch_size=2, interval=5.0))
    await _rest(ledger)
    for number in range(5):
        put(tell, f"row-{number}")
    await _rest(ledger)
    before = len(await to_publish(ledger))
    clock.advance(5.0)
    await _rest(ledger, 12)

    assert before == 0
    assert len(await to_publish(ledger)) == 5
    assert not loader.is_loading


async def test_rows_stay_in_the_table_while_many_are_on_their_way(
    ledger: Ledger, clock: FakeClock, tell: Tell, looking: Callable[..., Intake]
) -> None:
    for number in range(7):
        put(tell, f"row-{number}")
    loader = looking(Pace(batch_size=2, interval=5.0, concurrency=2))
    await _rest(ledger, 12)
    held = await to_publish(ledger)
    was_loading = loader.is_loading
    await ledger.write(partial(publishing.stored, postings=held, now=clock.utcnow()))
    clock.advance(FULL)
    await _rest(ledger, 12)

    assert (len(held), was_loading) == (4, True)
    assert len(await to_publish(ledger)) == 3


@pytest.mark.postgres
@pytest.mark.timeout(60)
async def test_a_server_knocks_also_after_it_was_away(
    postgres: PrivatePostgres, postgres_url: str
) -> None:
    knocks = 0

    def heard() -> None:
        nonlocal knocks
        knocks += 1

    def insert() -> None:
        postgres.run(
            postgres_url.rpartition("/")[2], "INSERT INTO intake (queue_name) VALUES ('q')"
        )

    listening = asyncio.create_task(listen(postgres_url, {INTAKE: heard}, clock=SystemClock()))
    await _heard(lambda: knocks == 1)
    await asyncio.to_thread(insert)
    await _heard(lambda: knocks == 2)
    await asyncio.to_thread(postgres.kill)
    await asyncio.to_thread(postgres.start)
    await _heard(lambda: knocks == 3)
    await asyncio.to_thread(insert)
    await _heard(lambda: knocks == 4)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def _heard(is_over: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, is_over, within=20, what="a knock")


@pytest.mark.postgres
async def test_new_rows_in_a_server_are_taken_in_at_once(
    server_ledger: Ledger, postgres_url: str
) -> None:
    entered: asyncio.Queue[None] = asyncio.Queue()
    poke = partial(entered.put_nowait, None)
    loader = Intake(server_ledger, TERMS, Pace(interval=3600.0), poke, is_alone=False)

    def knocks(heard: Callable[[], None]) -> Coroutine[None, None, None]:
        return listen(postgres_url, {INTAKE: heard}, clock=SystemClock())

    task = asyncio.create_task(loader.run(knocks))
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as server:
        for number in range(3):
            await server.execute("INSERT INTO intake (queue_name) VALUES ('clips')")
            await asyncio.wait_for(entered.get(), 10)
            assert len(await to_publish(server_ledger)) == number + 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _rest(ledger: Ledger, rounds: int = 6) -> None:
    """Wait until whoever is at work has done what there is to do."""
    for _ in range(rounds):
        await settle()
        await ledger.settle("no queue", "no job")
        await ledger.counts()
    await settle()
