"""A ledger whose disk, file or neighbours fail it: refused in words, known at once, got over."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from supervisor.core.records import Incident, JobState
from supervisor.core.troubles import Fault
from supervisor.ledger import sqlite
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from tests.support.clocks import START, WITHIN, FakeClock
from tests.support.disks import small_disk
from tests.support.ledgers import QUEUE, enter, new_job

LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


async def test_a_full_disk_is_known_and_got_over_when_there_is_room(
    tmp_path: Path, clock: FakeClock
) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        ledger = await Ledger.open(f"sqlite:///{disk.folder}/ledger.db", clock=clock)
        await enter(ledger, new_job("before"), state=JobState.WAITING)
        disk.fill()

        with pytest.raises(LedgerError, match="full; free some space") as refused:
            await _write_much(ledger)
        assert refused.value.trouble is ledger.troubles.now
        assert _fault(ledger) is Fault.FULL
        disk.free()
        await ledger.probe()
        await ledger.probe()

        assert ledger.troubles.now is None
        await _write_much(ledger)
        assert await _count(ledger) == {JobState.WAITING: 1}
        await ledger.close()


async def test_a_ledger_held_by_another_program_is_known_and_got_over_when_it_lets_go(
    ledger: Ledger,
    ledger_path: Path,
) -> None:
    await ledger.write(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout = 200"))
    with _locked(ledger_path) as locker:
        with pytest.raises(LedgerError, match="another program wrote to it"):
            await enter(ledger, new_job(), state=JobState.WAITING)
        with pytest.raises(LedgerError):
            await ledger.probe()
        assert _fault(ledger) is Fault.BUSY
        assert await _count(ledger) == {}  # it can be read all the while
        locker.communicate()

    await ledger.probe()
    await enter(ledger, new_job(), state=JobState.WAITING)
    await ledger.probe()

    assert ledger.troubles.now is None


async def test_a_file_that_was_moved_away_takes_nothing_until_it_is_back(
    ledger: Ledger, ledger_path: Path, tmp_path: Path
) -> None:
    await enter(ledger, new_job("before"), state=JobState.WAITING)
    shutil.move(ledger_path, tmp_path / "elsewhere.db")
    with pytest.raises(LedgerError, match="was removed or replaced while in use; put the same"):
        await enter(ledger, new_job("lost"), state=JobState.WAITING)
    shutil.copy(tmp_path / "elsewhere.db", ledger_path)
    with pytest.raises(LedgerError, match="replaced"):
        await enter(ledger, new_job("lost"), state=JobState.WAITING)
    assert _fault(ledger) is Fault.GONE

    (tmp_path / "elsewhere.db").replace(ledger_path)
    await ledger.probe()
    await ledger.probe()

    assert ledger.troubles.now is None
    await enter(ledger, new_job("after"), state=JobState.WAITING)
    assert await _count(ledger) == {JobState.WAITING: 2}


@pytest.mark.parametrize("first", [3, -5], ids=["everywhere", "where the start does not look"])
async def test_damage_is_found_at_the_start_and_the_file_left_as_it_is(
    first: int, ledger: Ledger, ledger_path: Path, ledger_url: str, clock: FakeClock
) -> None:
    await _grow(ledger)
    await ledger.close()
    _damage(ledger_path, first=first)
    damaged = _bytes(ledger_path)

    with pytest.raises(LedgerError, match=r"is damaged|malformed") as refused:
        await Ledger.open(ledger_url, clock=clock)

    assert "put a backup in its place" in str(refused.value)
    assert str(ledger_path) in str(refused.value)
    assert refused.value.trouble is not None
    assert refused.value.trouble.fault is Fault.DAMAGED
    assert _bytes(ledger_path) == damaged


async def test_damage_met_while_running_lasts(ledger: Ledger, ledger_path: Path) -> None:
    await _grow(ledger)
    _damage(ledger_path, first=2)
    # Another connection: this one has the pages it needs in memory.
    with pytest.raises(LedgerError, match="malformed; stop the supervisor, keep a copy"):
        await ledger.read(lambda c: c.exec_driver_sql("SELECT * FROM incidents").fetchall())

    await ledger.probe()
    await ledger.probe()

    assert _fault(ledger) is Fault.DAMAGED


async def test_a_large_ledger_is_not_looked_through_for_ever(
    ledger: Ledger,
    ledger_path: Path,
    ledger_url: str,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await _grow(ledger)
    await ledger.close()
    monkeypatch.setattr(sqlite, "LONGEST_LOOK", 0.0)

    again = await Ledger.open(ledger_url, clock=clock)

    await again.close()


async def test_a_mistake_of_ours_is_no_trouble_of_the_ledger(
    ledger: Ledger, ledger_path: Path
) -> None:
    with pytest.raises(LedgerError, match="no such table") as refused:
        await ledger.write(lambda c: c.exec_driver_sql("DELETE FROM nobody"))

    assert refused.value.trouble is None
    assert ledger.troubles.now is None


async def test_a_mistake_of_ours_that_undoes_the_transaction_does_not_end_the_writer(
    ledger: Ledger,
    ledger_path: Path,
) -> None:
    def mistake(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")
        raise KeyError("ours")

    with pytest.raises(LedgerError, match="no such savepoint"):
        await asyncio.wait_for(ledger.write(mistake), WITHIN)
    await asyncio.wait_for(_write_much(ledger), WITHIN)

    assert len(await ledger.incidents()) == 1


# --- helpers --------------------------------------------------------------------------------


def _fault(ledger: Ledger) -> Fault | None:
    return None if ledger.troubles.now is None else ledger.troubles.now.fault


async def _count(ledger: Ledger) -> object:
    return (await ledger.counts()).get(QUEUE, {})


async def _write_much(ledger: Ledger) -> None:
    incident = Incident("d-1", "download", "hang", "why", START, stack="x" * 500_000)
    await ledger.record(incident)


async def _grow(ledger: Ledger) -> None:
    for _ in range(5):
        await _write_much(ledger)


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def _damage(path: Path, *, first: int) -> None:
    """Write garbage over all pages from the `first` on; a negative one counts from the end."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    pages = path.stat().st_size // size
    first = first if first > 0 else pages + first
    with path.open("r+b") as file:
        file.seek((first - 1) * size)
        file.write(os.urandom((pages - first + 1) * size))


@contextmanager
def _locked(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", LOCKER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == b"locked\n"
        try:
            yield locker
        finally:
            locker.kill()
