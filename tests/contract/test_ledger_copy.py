"""A ledger copied into another database: whole or not at all, and it goes on there."""

import json
from pathlib import Path

import pytest

from consumers.broker.operations import Publish
from consumers.jobs import Properties
from supervisor.cli.main import main
from supervisor.core.records import JobFilter, JobRecord, JobState
from supervisor.ledger import copying, messages, survey
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from tests.support.clocks import FakeClock
from tests.support.ledgers import NODE, QUEUE, ask, claim, enter, letter, new_job, notice
from tests.support.postgresql import PASSWORD, PrivatePostgres
from tests.support.stuffed_ledgers import stuff, stuffing

pytestmark = pytest.mark.postgres


def silence(_table: str, _done: int, _total: int) -> None:
    pass


async def open_ledger(url: str, clock: FakeClock) -> Ledger:
    return await Ledger.open(url, clock=clock, node=NODE)


async def fill(url: str, clock: FakeClock) -> None:
    """Put a job of every state there is into a ledger, with all that belongs to them."""
    ledger = await open_ledger(url, clock)
    for job in ("done", "running", "cancelled"):
        taken = claim(job)
        await ledger.begin(taken, job_id=job, pool="download", worker="d-1", attempt=1)
        await ledger.line(QUEUE, job, "a line with a % and a \N{SNOWMAN}")
    told = [notice("done")]
    await ledger.complete(
        QUEUE, "done", worker="d-1", result={"a": [1, None]}, duration=1, notices=told
    )
    await ledger.cancel(QUEUE, "cancelled")
    await ledger.bury(letter(b"\x00\xff"), job_id="failed", pool="download")
    await enter(ledger, new_job("pending"))
    await enter(ledger, new_job("delayed", delay=60), state=JobState.DELAYED)
    await enter(ledger, new_job("last"))
    await ledger.flush()
    await ledger.close()
    ask(url, "DELETE FROM jobs WHERE id = 'last'")


async def content(url: str, clock: FakeClock) -> tuple[object, ...]:
    ledger = await open_ledger(url, clock)
    jobs: list[JobRecord | None] = [
        await ledger.show(job.id) for job in await ledger.find(JobFilter(limit=100))
    ]
    found = (jobs, await ledger.counts(), await ledger.due(clock.utcnow(), limit=10))
    await ledger.close()
    return found


@pytest.fixture(params=["to a server", "to a file"])
def way(request: pytest.FixtureRequest, sqlite_url: str, postgres_url: str) -> tuple[str, str]:
    """Where from, and where to."""
    urls = (sqlite_url, postgres_url)
    return urls if request.param == "to a server" else (postgres_url, sqlite_url)


async def test_all_of_it_is_copied_and_numbers_go_on(
    way: tuple[str, str], clock: FakeClock
) -> None:
    source, target = way
    await fill(source, clock)
    before = await content(source, clock)

    copied = copying.copy(source, target, silence)

    assert copied["jobs"] == 6
    assert await content(target, clock) == before
    again = await open_ledger(target, clock)
    await enter(again, new_job("new"))
    await again.close()
    assert ask(target, "SELECT number FROM jobs WHERE id = 'new'") == [(8,)]
    assert ask(target, "SELECT count(*) FROM job_counts WHERE count < 0") == [(0,)]


def test_no_table_is_left_behind(way: tuple[str, str]) -> None:
    source, target = way
    stuff(source, besides={"embedded_messages"})

    copying.copy(source, target, silence)

    assert stuffing(target) == stuffing(source)


async def test_rows_of_others_are_taken_in_as_they_came_and_what_is_no_text_is_spelt_out(
    sqlite_url: str, postgres_url: str, clock: FakeClock
) -> None:
    await (await open_ledger(sqlite_url, clock)).close()
    put = "INSERT INTO intake (id, queue_name, data, created_at) VALUES"
    ask(sqlite_url, f"{put} ('z', 'clips', x'7b7d', '2026-01-01 00:00:00')")
    ask(sqlite_url, f"{put} (x'ff00', 'clips', CAST(x'ff' AS TEXT), '2026-01-01 00:00:00')")
    ask(sqlite_url, f"{put} ('a', 'clips', '{{}}', '2026-01-01 00:00:00')")

    copying.copy(sqlite_url, postgres_url, silence)

    copied = ask(postgres_url, "SELECT id, data FROM intake ORDER BY ctid")
    assert copied == [("z", "{}"), (r"\xff\0", r"\xff"), ("a", "{}")]


async def test_a_row_of_others_that_no_server_takes_is_named(
    sqlite_url: str, postgres_url: str, clock: FakeClock
) -> None:
    await (await open_ledger(sqlite_url, clock)).close()
    ask(sqlite_url, "INSERT INTO intake (id, queue_name, priority) VALUES ('w', 'clips', 'high')")
    ask(sqlite_url, "INSERT INTO intake (id, queue_name) VALUES ('x', 'clips')")

    with pytest.raises(LedgerError, match=r"intake: priority of the row 'w' is 'high', not a numb"):
        copying.copy(sqlite_url, postgres_url, silence)
    ask(sqlite_url, "UPDATE intake SET priority = 3000000000 WHERE id = 'w'")
    with pytest.raises(LedgerError, match=r"intake: priority of the row 'w' is '3000000000'"):
        copying.copy(sqlite_url, postgres_url, silence)

    ask(sqlite_url, "UPDATE intake SET priority = 2 WHERE id = 'w'")
    assert copying.copy(sqlite_url, postgres_url, silence)["intake"] == 2


async def test_a_ledger_that_is_not_empty_is_left_as_it_is(
    way: tuple[str, str], clock: FakeClock
) -> None:
    source, target = way
    await fill(source, clock)
    other = await open_ledger(target, clock)
    await enter(other, new_job("mine"))
    await other.close()

    with pytest.raises(LedgerError, match=r"is not empty \(jobs\)"):
        copying.copy(source, target, silence)

    assert ask(target, "SELECT id FROM jobs") == [("mine",)]


async def test_a_ledger_that_a_supervisor_holds_is_refused(
    way: tuple[str, str], clock: FakeClock
) -> None:
    for held in way:
        ledger = await open_ledger(held, clock)

        with pytest.raises(LedgerError, match=r"another supervisor|supervisors of another"):
            copying.copy(*way, silence)
        await ledger.close()


async def test_a_copy_that_fails_leaves_nothing_behind(
    way: tuple[str, str], clock: FakeClock
) -> None:
    source, target = way
    await fill(source, clock)

    def breaks(table: str, _done: int, _total: int) -> None:
        if table == "notices":
            raise LedgerError("the lights went out")

    with pytest.raises(LedgerError, match="lights"):
        copying.copy(source, target, breaks)

    assert ask(target, "SELECT count(*) FROM jobs") == [(0,)]
    assert copying.copy(source, target, silence)["jobs"] == 6


async def test_messages_of_the_embedded_queues_are_not_left_behind(
    sqlite_url: str, postgres_url: str, clock: FakeClock
) -> None:
    ledger = await open_ledger(sqlite_url, clock)
    await ledger.write(lambda connection: messages.declare(connection, ["clips"]))
    message = Publish(queue="clips", body=b"{}", properties=Properties())
    await ledger.write(
        lambda connection: messages.publish(connection, message, level=3, now=clock.utcnow())
    )
    await ledger.close()

    with pytest.raises(LedgerError, match="1 messages wait in the embedded queues"):
        copying.copy(sqlite_url, postgres_url, silence)


async def test_a_ledger_can_be_looked_at_while_it_is_in_use(
    ledger: Ledger, ledger_url: str
) -> None:
    await enter(ledger, new_job())

    seen = survey.look(ledger_url)

    assert (seen.coordinators, seen.version) == (1, seen.newest)
    assert seen.jobs == {QUEUE: {"pending": 1}}
    assert seen.size > 50_000
    assert seen.database.startswith(("SQLite 3.", "PostgreSQL 1"))


async def test_both_are_verbs_of_the_command_line(
    sqlite_url: str, postgres_url: str, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(sqlite_url, clock)

    assert main(["ledger", "copy", sqlite_url, postgres_url]) == 0
    assert "jobs                            6" in capsys.readouterr().out
    assert main(["ledger", "info", postgres_url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"][QUEUE]["completed"] == 1
    assert main(["ledger", "copy", sqlite_url, postgres_url]) == 1
    said = capsys.readouterr().err
    assert "is not empty" in said
    assert PASSWORD not in said


def test_a_ledger_that_is_not_there_is_neither_copied_nor_made(
    tmp_path: Path, postgres: PrivatePostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    target = f"sqlite:///{tmp_path}/new.db"
    assert main(["ledger", "copy", f"sqlite:///{tmp_path}/none.db", target]) == 1
    assert "there is no such file" in capsys.readouterr().err
    with postgres.database() as empty:
        ask(empty, "DROP TABLE alembic_version")
        assert main(["ledger", "copy", empty, target]) == 1
    assert "there is no ledger in it; name the one that" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_is_not_there_is_not_made_by_looking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", "info", f"sqlite:///{tmp_path}/none.db"]) == 1
    assert main(["ledger", "info", "mysql://h/d"]) == 2

    assert "there is no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
