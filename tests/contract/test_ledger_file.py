"""The ledger's file: who may hold it, how it is brought up to date, and what a kill leaves."""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert

from supervisor.core.records import Incident, JobState
from supervisor.ledger import migrate, pending
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.rooms import room_of
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables.columns import metadata
from supervisor.ledger.tables.entries import intake
from supervisor.ledger.tables.reports import incidents
from tests.support.clocks import START, FakeClock
from tests.support.ledgers import NODE, QUEUE, ask, downgrade, new_job
from tests.support.stuffed_ledgers import ROWS, stuff, stuffing

LONG = os.urandom(10_000).hex()  # no index of a server has room for it
MIGRATIONS = Path(migrate.__file__).parent / "migrations"

COUNTED = """
SELECT queue, state, sum(number) FROM (
    SELECT queue, state, count AS number FROM job_counts
    UNION ALL SELECT queue, state, change FROM job_changes
) AS parts GROUP BY queue, state HAVING sum(number) != 0 ORDER BY queue, state
"""

WRITER = """
import asyncio, sys
from functools import partial
from consumers.clock import SystemClock
from consumers.jobs import Properties
from supervisor.core.records import NewJob
from supervisor.ledger import pending
from supervisor.ledger.store import Ledger

async def enter(ledger, numbers):
    for number in numbers:
        job = NewJob(f"{sys.argv[2]}-{number}", "p", "clips", b"{}", Properties())
        await ledger.write(partial(pending.enter, job=job, now=ledger.clock.utcnow()))
        print(job.id, flush=True)

async def main():
    ledger = await Ledger.open(sys.argv[1], clock=SystemClock(), node="writer")
    numbers = iter(range(1_000_000))
    await asyncio.gather(*(enter(ledger, numbers) for _ in range(8)))

asyncio.run(main())
"""


def integrity(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


async def test_operations_that_come_together_are_one_commit(ledger: Ledger) -> None:
    before = ledger.commits
    jobs = [new_job(f"job-{n}") for n in range(200)]

    await asyncio.gather(
        *(ledger.write(partial(pending.enter, job=job, now=START)) for job in jobs)
    )

    assert ledger.commits - before <= 3  # the first may have gone alone
    assert (await ledger.counts())[QUEUE] == {JobState.PENDING: 200}


async def test_an_operation_that_fails_leaves_its_neighbours_alone(ledger: Ledger) -> None:
    def fails(connection: Connection) -> None:
        connection.execute(insert(incidents).values(worker="half"))

    def breaks(connection: Connection) -> None:
        raise ValueError("a mistake of ours")

    incident = Incident("d-1", "download", "crash", "why", START)
    outcomes = await asyncio.gather(
        ledger.record(incident),
        ledger.write(fails),
        ledger.write(breaks),
        ledger.record(incident),
        return_exceptions=True,
    )

    assert outcomes[0] is outcomes[3] is None
    assert isinstance(outcomes[1], LedgerError)
    assert isinstance(outcomes[2], ValueError)
    assert await ledger.incidents(limit=10) == (incident, incident)


async def test_a_full_disk_fails_the_commit_in_words_and_is_got_over(
    ledger: Ledger, ledger_path: Path
) -> None:
    def allow(pages: int) -> Callable[[Connection], object]:
        return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    incident = Incident("d-1", "download", "crash", "why", START)
    long_one = Incident("d-1", "download", "hang", "why", START, stack="x" * 5_000_000)
    await ledger.write(allow(1))  # no fewer than there are

    outcomes = await asyncio.gather(
        ledger.record(incident), ledger.record(long_one), ledger.record(incident),
        return_exceptions=True,
    )  # fmt: skip

    assert isinstance(outcomes[1], LedgerError)
    assert "full; free some space on its disk" in str(outcomes[1])
    await ledger.write(allow(1_000_000))
    await ledger.record(incident)
    kept = [outcome for outcome in outcomes if outcome is None]
    assert len(await ledger.incidents(limit=10)) == len(kept) + 1


async def test_what_was_handed_in_is_written_when_the_ledger_closes(
    ledger: Ledger, ledger_url: str, clock: FakeClock
) -> None:
    entering = [
        asyncio.ensure_future(ledger.record(Incident(f"d-{n}", "p", "crash", "why", START)))
        for n in range(50)
    ]
    await asyncio.sleep(0)
    await ledger.close()
    await asyncio.gather(*entering)

    again = await Ledger.open(ledger_url, clock=clock, node=NODE)

    assert len(await again.incidents(limit=100)) == 50
    await again.close()


async def test_a_closed_ledger_says_so_and_may_be_closed_again(ledger: Ledger) -> None:
    await ledger.close()
    await ledger.close()

    with pytest.raises(LedgerError, match="closed"):
        await ledger.settle(QUEUE, "job-1")
    with pytest.raises(LedgerError, match="closed"):
        await ledger.show("job-1")


async def test_a_second_coordinator_is_refused_with_the_pid_of_the_first(
    ledger: Ledger, ledger_path: Path, clock: FakeClock
) -> None:
    with pytest.raises(LedgerError, match=rf"pid {os.getpid()}\b"):
        await Ledger.open(f"sqlite:///{ledger_path}", clock=clock)

    assert await ledger.counts() == {}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u:secret@host/db", "not supported"),
        ("sqlite://", "names no file"),
        ("nonsense", "not a URL"),
    ],
)
async def test_another_kind_of_ledger_is_refused_in_words(
    url: str, words: str, clock: FakeClock
) -> None:
    with pytest.raises(LedgerError, match=words) as refused:
        await Ledger.open(url, clock=clock)

    assert "secret" not in str(refused.value)


async def test_a_file_that_is_no_ledger_is_left_as_it_is(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, not a ledger.\n" * 100)

    with pytest.raises(LedgerError, match="not a database; move that file away"):
        await Ledger.open(f"sqlite:///{path}", clock=clock)

    assert path.read_text().startswith("These are my notes")


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "var").write_text("a file where the folder should be")

    with pytest.raises(LedgerError, match="var"):
        await Ledger.open(f"sqlite:///{tmp_path}/var/ledger.db", clock=clock)


async def test_a_newer_ledger_is_refused(ledger: Ledger, ledger_url: str, clock: FakeClock) -> None:
    await ledger.close()
    ask(ledger_url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(LedgerError, match=r"newer version .* \(ledger version 9999"):
        await Ledger.open(ledger_url, clock=clock, node=NODE)


async def test_opening_prints_nothing(
    ledger_url: str, clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    await (await Ledger.open(ledger_url, clock=clock)).close()

    assert capfd.readouterr() == ("", "")


def test_the_migrations_make_the_tables_of_the_program_and_take_them_away(ledger_url: str) -> None:
    _migrate(ledger_url)
    assert _difference(ledger_url) == []
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [migrate.HEAD]

    downgrade(ledger_url, "base")
    assert len(_difference(ledger_url)) >= len(metadata.tables)
    _migrate(ledger_url)
    assert _difference(ledger_url) == []


def test_a_ledger_with_rows_in_all_tables_goes_back_to_its_first_version_and_forth(
    ledger_url: str,
) -> None:
    stuff(ledger_url)
    ask(ledger_url, f"UPDATE jobs SET sender = '{LONG}' WHERE number = 1")  # noqa: S608 - ours
    kept = ("queue", "id", "pool", "state", "body", "sender", "seq", "created_at", "result")
    asked = f"SELECT {', '.join(kept)} FROM jobs ORDER BY number"  # noqa: S608 - names of ours
    before, counts = ask(ledger_url, asked), ask(ledger_url, COUNTED)

    scripts = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    for version in [script.down_revision for script in scripts][:-1]:
        downgrade(ledger_url, str(version))
    assert ask(ledger_url, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert ask(ledger_url, asked) == before
    _migrate(ledger_url)

    assert _difference(ledger_url) == []
    assert ask(ledger_url, asked) == before
    assert ask(ledger_url, COUNTED) == counts
    kept_whole = ("attempts", "incidents", "intake", "job_lines", "notices", "schedules")
    assert {name: len(stuffing(ledger_url)[name]) for name in kept_whole} == dict.fromkeys(
        kept_whole, ROWS
    )


def _migrate(url: str) -> None:
    room = room_of(url)
    room.take()
    migrate.migrate(room)
    room.release()


def _difference(url: str) -> list[object]:
    room = room_of(url)
    with room.writing.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    room.release()
    return list(found)


async def test_another_program_needs_only_a_queue_and_a_body_for_the_intake(
    ledger: Ledger, ledger_url: str
) -> None:
    ask(ledger_url, "INSERT INTO intake (queue_name, data) VALUES ('clips', '{}')")

    row = await ledger.read(lambda connection: connection.execute(intake.select()).one())
    assert (row.queue_name, row.status, row.attempts) == ("clips", "pending", 0)
    assert re.fullmatch(r"[0-9a-f]{32}", row.id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row.created_at)


@pytest.mark.processes
@pytest.mark.timeout(60)
async def test_a_killed_writer_loses_nothing_that_it_reported(
    ledger_url: str, clock: FakeClock
) -> None:
    reported: set[str] = set()
    for life in range(10 if "sqlite" in ledger_url else 4):  # a server survives its clients anyway
        reported |= await asyncio.to_thread(
            _write_until_killed, ledger_url, str(life), 20 + 15 * life
        )

    ledger = await Ledger.open(ledger_url, clock=clock, node="writer")

    found = await ledger.read(
        lambda connection: set(connection.exec_driver_sql("SELECT id FROM jobs").scalars())
    )
    assert len(reported) > 150
    assert reported <= found
    await ledger.close()
    if ledger_url.startswith("sqlite"):
        assert integrity(Path(ledger_url.removeprefix("sqlite:///"))) == "ok"


def _write_until_killed(url: str, life: str, enough: int) -> set[str]:
    """Return the jobs that a writer reported before it was killed in the middle of its work."""
    command = [sys.executable, "-c", WRITER, url, life]
    env = os.environ | {"PYTHONPATH": str(Path(migrate.__file__).parents[2])}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        reported = {writer.stdout.readline() for _ in range(enough)}
        writer.send_signal(signal.SIGKILL)
        reported |= set(writer.stdout)
    # The last line may have been cut short by the kill.
    return {line.strip() for line in reported if line.endswith("\n")}
