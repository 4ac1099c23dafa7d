"""Dead letters on their way out of the ledger, as lines of JSON, and back: byte for byte."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row

from consumers.jobs import Priority
from consumers.outcome import Failure
from supervisor.core.fingerprints import group_of
from supervisor.core.letters import LetterFilter
from supervisor.core.records import Attempt, JobState
from supervisor.desks.letters import Exported, body_of, content_of
from supervisor.ledger import letters
from supervisor.ledger.attempts import history
from supervisor.ledger.chains import is_known
from supervisor.ledger.dialects import insert
from supervisor.ledger.tables.jobs import attempts, jobs
from supervisor.ledger.tables.requests import replayed
from supervisor.ledger.values import (
    failure_of,
    moment_of,
    moment_or_none,
    pack,
    properties_of,
    stamp,
)

LARGEST = 4_000_000  # bytes of bodies that are read at once, and one letter more
MOST = 500  # letters that are read at once

_KIN = ("parent_queue", "parent_id", "root_queue", "root_id")
_PLAIN = (
    *("queue", "id", "pool", "name", "sender", "noreply", "attempts", "crashes", "timeouts"),
    *("memory_crashes", "crash", "seq", "max_attempts", "origin", "limit_key"),
    *_KIN,
)  # fields and columns that have the same name and the same values
_entry = insert(jobs).on_conflict_do_nothing(index_elements=[jobs.c.queue, jobs.c.id])
_run = insert(attempts)
_edited = insert(replayed).on_conflict_do_nothing()


def out(
    connection: Connection, wanted: LetterFilter, *, after: int | None
) -> tuple[tuple[bytes, ...], int | None]:
    """Return some dead letters that fit as lines, and where to go on (None: that is all)."""
    found, following = letters.page(connection, wanted, limit=MOST, after=after)
    lines: list[bytes] = []
    size = 0
    for letter in found:
        row = letters.whole(connection, letter.queue, letter.id)
        runs = history(connection, letter.queue, letter.id)
        lines.append(msgspec.json.encode(_exported(row, runs)) + b"\n")
        size += len(row.body)
        if size > LARGEST and letter is not found[-1]:
            return tuple(lines), row.number
    return tuple(lines), following


@dataclass(frozen=True, slots=True)
class Entry:
    """A line as rows of the ledger."""

    row: Mapping[str, object]
    runs: tuple[Mapping[str, object], ...]
    kept: Mapping[str, object] | None  # its body as it first came, if it was edited


def entry(letter: Exported) -> Entry:
    """Return a line as it is entered.

    Raises:
        ValueError: it says what no ledger can hold.
    """
    kept = None
    if letter.original is not None:
        kept = {"queue": letter.queue, "job_id": letter.id, "replay": 0, "seq": letter.seq}
        kept["original"] = body_of(letter.original)
    made = Entry(_row(letter), tuple(_runs(letter)), kept)
    values = (value for row in (made.row, *made.runs) for value in row.values())
    if any(isinstance(value, str) and "\0" in value for value in values):
        raise ValueError("a text in it holds the character 0, which no database takes")
    return made


def take_in(connection: Connection, entries: Sequence[Entry]) -> int:
    """Make dead letters of lines; return of how many: jobs that are known are left as they are."""
    taken = 0
    for each in entries:
        if connection.execute(_entry, _known_kin(connection, each.row)).rowcount != 1:
            continue
        taken += 1
        for run in each.runs:
            connection.execute(_run, run)
        if each.kept is not None:
            connection.execute(_edited, each.kept)
    return taken


def _known_kin(connection: Connection, row: Mapping[str, object]) -> Mapping[str, object]:
    """Return a row; it is of a chain if that is here: else nobody would be told of the job."""
    root = str(row["root_queue"]), str(row["root_id"])
    return row if is_known(connection, *root) else {**row, **dict.fromkeys(_KIN, "")}


def _exported(row: Row[*tuple[Any, ...]], runs: tuple[Attempt, ...]) -> Exported:
    return Exported(
        **{name: getattr(row, name) for name in _PLAIN},
        body=content_of(row.body),
        properties=properties_of(row.properties),
        error=failure_of(row.error) or Failure("failed without a word"),
        priority=Priority(row.priority),
        created_at=moment_of(row.created_at),
        started_at=moment_or_none(row.started_at),
        failed_at=moment_of(row.finished_at),
        original=None if row.original is None else content_of(row.original),
        history=runs,
    )


def _row(letter: Exported) -> dict[str, object]:
    last = letter.history[-1].traceback if letter.history else ""
    error = letter.error
    return {name: getattr(letter, name) for name in _PLAIN} | {
        "state": JobState.FAILED.value,
        "body": body_of(letter.body),
        "properties": pack(letter.properties),
        "error": pack(error),
        "error_group": group_of(error.message, error.code, error.traceback or last),
        "priority": letter.priority.value,
        "life": letter.seq,
        "created_at": stamp(letter.created_at),
        "started_at": None if letter.started_at is None else stamp(letter.started_at),
        "finished_at": stamp(letter.failed_at),
    }


def _runs(letter: Exported) -> Iterator[dict[str, object]]:
    for run in letter.history:
        yield {
            "queue": letter.queue,
            "job_id": letter.id,
            "number": run.number,
            "worker": run.worker,
            "started_at": stamp(run.started_at),
            "finished_at": stamp(run.finished_at or letter.failed_at),
            "error": run.error,
            "code": run.code,
            "traceback": run.traceback,
            "exit": run.exit,
        }
