"""Rows that other programs insert: each becomes one job, and follows it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection

from consumers.jobs import Priority
from consumers.outcome import Failure
from supervisor.core.intake import Terms
from supervisor.ledger import intake, next_copies, pending, publishing, retention
from supervisor.ledger.intake import Batch
from supervisor.ledger.store import Ledger
from tests.support.clocks import START, FakeClock
from tests.support.ledgers import claim, downgrade, new_job, to_publish
from tests.support.plans import explained, reads_all_of
from tests.support.rows import CARDS, TERMS, Tell, put, row, take, tell

__all__ = ["tell"]

PAGE = Path(__file__).parents[2] / "docs" / "intake.md"


async def test_a_row_becomes_a_job_with_all_that_it_says(ledger: Ledger, tell: Tell) -> None:
    put(tell, type="cut", data='{"link": "l", "from": "ana"}', priority=2, max_attempts=7)
    loaded = await take(ledger)

    (posting,) = await to_publish(ledger)
    assert (loaded.rows, loaded.entered, loaded.refused) == (1, 1, [])
    assert (posting.queue, posting.id, posting.pool) == ("clips", "row-1", "download")
    assert (posting.name, posting.priority, posting.max_attempts) == ("cut", Priority.HIGH, 7)
    assert posting.message.body == b'{"link": "l", "from": "ana"}'
    record = await ledger.show("row-1")
    assert record is not None
    assert (record.sender, record.origin) == ("ana", "intake")
    assert row(tell)["status"] == "waiting"


@pytest.mark.invariant(1)
async def test_a_row_follows_its_job_to_the_end(ledger: Ledger, tell: Tell) -> None:
    put(tell)
    await take(ledger)
    seen = [row(tell)["status"]]
    await ledger.write(
        partial(publishing.stored, postings=await to_publish(ledger), now=ledger.clock.utcnow())
    )
    seen.append(row(tell)["status"])
    await ledger.begin(claim("row-1"), job_id="row-1", pool="download", worker="d-1", attempt=1)
    running = row(tell)
    failure = Failure('a "quoted" word and ü')
    await ledger.retry("clips", "row-1", failure=failure, delay=5.0, attempts=1, worker="d-1")
    delayed = row(tell)
    await ledger.begin(claim("row-1"), job_id="row-1", pool="download", worker="d-2", attempt=2)
    await ledger.complete("clips", "row-1", worker="d-2", result={"files": ["a"]}, duration=1.0)
    done = row(tell)

    assert seen == ["waiting", "waiting"]
    assert (running["status"], running["worker_id"]) == ("active", "d-1")
    assert running["processed_on"] == intake.written(ledger.clock.utcnow())
    assert (delayed["status"], delayed["attempts"]) == ("delayed", 1)
    assert delayed["error"] == 'a "quoted" word and ü'
    assert (done["status"], done["attempts"], done["worker_id"]) == ("completed", 2, "d-2")
    assert (done["result"], done["error"]) == ('{"files":["a"]}', None)
    assert done["finished_on"] == intake.written(ledger.clock.utcnow())


async def test_a_row_shows_why_its_job_failed_and_that_it_runs_again(
    ledger: Ledger, tell: Tell
) -> None:
    put(tell)
    put(tell, "row-2")
    await take(ledger)
    await ledger.cancel("clips", "row-1")
    cancelled = row(tell)["status"]
    copy = next_copies.Again()
    again = partial(next_copies.again, queue="clips", job_id="row-1", copy=copy, now=START)
    await ledger.write(again)

    assert cancelled == "cancelled"
    assert row(tell)["status"] == "waiting"
    assert row(tell)["finished_on"] is None
    assert row(tell, "row-2")["status"] == "waiting"


async def test_jobs_that_came_another_way_touch_no_row(ledger: Ledger, tell: Tell) -> None:
    put(tell)
    await ledger.write(partial(pending.enter, job=new_job("row-1"), now=START))
    await ledger.cancel("clips", "row-1")
    untouched = row(tell)
    await take(ledger)

    assert untouched["status"] == "pending"
    assert row(tell)["status"] == "failed"
    assert row(tell)["error"].startswith("id: queue clips has a job of this id")


async def test_a_row_of_an_earlier_job_shows_what_became_of_that(
    ledger: Ledger, tell: Tell
) -> None:
    put(tell)
    await take(ledger)
    await ledger.begin(claim("row-1"), job_id="row-1", pool="download", worker="d-1", attempt=1)
    await ledger.complete("clips", "row-1", worker="d-1", result={}, duration=1.0)
    tell("UPDATE intake SET status = 'pending', result = NULL WHERE id = 'row-1'")
    loaded = await take(ledger)

    assert (loaded.rows, loaded.entered) == (1, 0)
    assert (row(tell)["status"], row(tell)["result"]) == ("completed", "{}")


async def test_moments_and_delays_are_kept(ledger: Ledger, tell: Tell) -> None:
    put(tell, "delayed", delay_ms=90_000)
    put(tell, "at", scheduled_for="2026-12-24T18:00:00+01:00", delay_ms=5)
    put(tell, "then", scheduled_for="1782000000000")
    await take(ledger)
    due = {each.id: each.due_at for each in await to_publish(ledger)}
    states = [row(tell, name)["status"] for name in ("delayed", "at", "then")]

    assert due["delayed"] == START + timedelta(seconds=90)
    assert due["at"] == datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert due["then"] is None  # it has passed
    assert states == ["delayed", "delayed", "waiting"]


BAD: tuple[tuple[dict[str, object], str], ...] = (
    ({"queue_name": "nowhere"}, "queue_name: no pool or queue 'nowhere' is configured"),
    ({"data": "[1]"}, "data: must be a JSON object, is an array"),
    ({"data": "{"}, "data: is not JSON"),
    ({"data": '{"x": "' + 20_000 * "x" + '"}'}, "data: is "),
    ({"data": '{"from": []}'}, "data.from: must be"),
    ({"data": '{"from": "a\\u0000"}'}, "data.from: must not contain the character NUL"),
    ({"priority": 9}, "priority: must be one of critical"),
    ({"max_attempts": 0}, "max_attempts: must be a whole number, 1 to 1,000, is '0'"),
    ({"delay_ms": -1}, "delay_ms: must be a whole number"),
    ({"delay_ms": 2**53}, "delay_ms: must be 0 to 315,360,000 seconds"),
    ({"scheduled_for": "tomorrow"}, "scheduled_for: must be like"),
    ({"type": 300 * "t"}, "type: must be 200 bytes or shorter"),
)


async def test_a_bad_row_is_refused_by_name_and_stops_nothing(ledger: Ledger, tell: Tell) -> None:
    for number, (columns, _) in enumerate(BAD):
        put(tell, f"bad-{number}", **columns)
    put(tell, 300 * "i")
    put(tell, "good")
    loaded = await take(ledger)

    errors = [row(tell, f"bad-{number}")["error"] for number in range(len(BAD))]
    for error, (_, words) in zip(errors, BAD, strict=True):
        assert error.startswith(words)
    assert {row(tell, f"bad-{number}")["status"] for number in range(len(BAD))} == {"failed"}
    assert row(tell, 300 * "i")["error"].startswith("id: must be 1 to 200 bytes")
    assert (loaded.rows, loaded.entered, row(tell, "good")["status"]) == (14, 1, "waiting")
    assert not await ledger.read(partial(intake.has_some, names=None))


async def test_what_no_text_is_stops_nothing_either(
    ledger: Ledger, ledger_path: Path, tell: Tell
) -> None:
    tell("INSERT INTO intake (id, queue_name, data) VALUES (x'ff00', 'clips', '{}')")
    tell("INSERT INTO intake (id, queue_name, data) VALUES ('blob', 'clips', x'7b7d')")
    tell("INSERT INTO intake (id, queue_name, data) VALUES ('odd', 'clips', CAST(x'ff' AS TEXT))")
    tell("INSERT INTO intake (id, queue_name, priority) VALUES ('word', 'clips', 'high')")
    loaded = await take(ledger)

    assert (loaded.rows, loaded.entered) == (4, 2)
    assert [each.id for each in await to_publish(ledger)] == ["blob", "word"]
    assert tell("SELECT error FROM intake WHERE id = x'ff00'")[0][0].startswith("id: is not UTF-8")
    assert row(tell, "odd")["error"].startswith("data: is not JSON")


async def test_a_row_that_the_database_does_not_take_leaves_its_neighbours_alone(
    ledger: Ledger, ledger_url: str, tell: Tell
) -> None:
    if ledger_url.startswith("sqlite"):
        tell(
            "CREATE TRIGGER curse BEFORE INSERT ON jobs WHEN NEW.id = 'cursed' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    else:
        tell("ALTER TABLE jobs ADD CONSTRAINT curse CHECK (id != 'cursed')")
    for name in ("before", "cursed", "after"):
        put(tell, name)
    loaded = await take(ledger)

    assert (loaded.entered, len(loaded.refused)) == (2, 1)
    assert [each.id for each in await to_publish(ledger)] == ["before", "after"]
    assert row(tell, "cursed")["error"].startswith("data: is not taken by the database")


async def test_rows_are_taken_in_the_order_in_which_they_came(ledger: Ledger, tell: Tell) -> None:
    names = [f"row-{number:02}" for number in range(20)]
    for name in reversed(names):
        put(tell, name, created_at="2026-01-01 00:00:00")
    put(tell, "earlier", created_at="2025-01-01 00:00:00")
    first = await take(ledger, 11)
    second = await take(ledger, 11)

    assert (first.rows, first.may_be_more) == (11, True)
    assert (second.rows, second.may_be_more) == (10, False)
    assert [each.id for each in await to_publish(ledger)] == ["earlier", *reversed(names)]


async def test_a_row_that_is_gone_is_owed_nothing(ledger: Ledger, tell: Tell) -> None:
    put(tell)
    await take(ledger)
    tell("DELETE FROM intake")
    await ledger.cancel("clips", "row-1")

    assert not await ledger.read(intake.is_owing)


async def test_the_page_shows_what_works(ledger: Ledger, ledger_url: str, tell: Tell) -> None:
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    insert, select, grant = (block.strip().rstrip(";") for block in blocks)
    tell(insert)
    terms = Terms({"app-queue": CARDS["download"]}, 1000)
    batch = Batch(50, terms)
    await ledger.write(partial(intake.load, batch=batch, now=ledger.clock.utcnow()))

    assert tell(select) == [("waiting", 0, None, None, None)]
    if not ledger_url.startswith("sqlite"):
        _let_in(tell, grant, ledger_url)


def _let_in(tell: Tell, grant: str, url: str) -> None:
    tell("CREATE ROLE shop LOGIN PASSWORD 'carrot'")
    try:
        tell(grant)
        with psycopg.connect(url.replace("rabbit:carrot", "shop:carrot")) as shop:
            words = "INSERT INTO intake (queue_name) VALUES ('clips') RETURNING id"
            assert shop.execute(words).fetchone() is not None
    finally:
        tell("DROP OWNED BY shop")
        tell("DROP ROLE shop")


async def test_finished_rows_go_by_the_moments_that_we_write(ledger: Ledger, tell: Tell) -> None:
    put(tell, priority=9)
    await take(ledger)
    day = ledger.clock.utcnow().replace(hour=0)
    kept = await ledger.write(partial(retention.remove_intake, before=day))
    gone = await ledger.write(partial(retention.remove_intake, before=day.replace(year=2100)))

    assert (kept, gone) == (0, 1)


async def test_no_look_at_the_table_reads_what_is_finished(ledger: Ledger, tell: Tell) -> None:
    many = (
        "INSERT INTO intake (id, queue_name, status, finished_on) WITH RECURSIVE series(n) AS "
        "(SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 20000) "
        "SELECT 'old-' || n, 'clips', 'completed', '2026-11-20 10:00:00' FROM series"
    )
    tell(many)
    if ledger.is_shared:
        tell("ANALYZE")
    day = START - timedelta(days=30)
    looks: tuple[Callable[[Connection], object], ...] = (
        partial(intake.has_some, names=None),
        partial(intake.has_some, names=("clips",)),
        partial(intake.strangers, names=("clips",)),
        partial(intake.load, batch=Batch(50, TERMS), now=START),
        partial(intake.load, batch=Batch(50, TERMS, ("clips",)), now=START),
        partial(intake.on_the_way, pools=("download",), limit=50, now=START),
        partial(retention.remove_intake, before=day),
    )
    plans = [await ledger.write(partial(explained, question=look)) for look in looks]

    assert all(plans)
    assert [line for plan in plans for line in plan if reads_all_of("intake", line)] == []


async def test_the_triggers_can_be_taken_away_and_put_back(
    ledger: Ledger, ledger_url: str, tell: Tell
) -> None:
    await ledger.close()
    downgrade(ledger_url, "0006")
    again = await Ledger.open(ledger_url, clock=FakeClock())
    put(tell)
    await take(again)
    await again.cancel("clips", "row-1")
    await again.close()

    assert row(tell)["status"] == "cancelled"
