"""Rows of the intake table: put there by another program, taken in by us."""

import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import psycopg
import pytest

from consumers.topology import PoolQueues
from supervisor.core.intake import Terms
from supervisor.core.records import PoolCard
from supervisor.ledger import intake
from supervisor.ledger.intake import Batch, Loaded
from supervisor.ledger.store import Ledger

CARDS = {"download": PoolCard("download", PoolQueues("clips", "clips.priority", "clips_dlq"))}
TERMS = Terms({"download": CARDS["download"], "clips": CARDS["download"]}, 10_000)

Tell = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def tell(ledger_url: str) -> Tell:
    """Be another program, with its own connection and nothing of ours."""

    def run(words: str, *values: object) -> list[tuple[Any, ...]]:
        if ledger_url.startswith("sqlite"):
            file = ledger_url.removeprefix("sqlite:///")
            with contextlib.closing(sqlite3.connect(file, timeout=5)) as own, own:
                return own.execute(words, values).fetchall()
        with psycopg.connect(ledger_url) as server:
            done = server.execute(words.replace("?", "%s").encode(), values)
            return done.fetchall() if done.description else []

    return run


def put(tell: Tell, job_id: str = "row-1", **columns: object) -> None:
    row: Mapping[str, object] = {"id": job_id, "queue_name": "clips"} | columns
    marks = ", ".join("?" * len(row))
    tell(f"INSERT INTO intake ({', '.join(row)}) VALUES ({marks})", *row.values())  # noqa: S608


def row(tell: Tell, job_id: str = "row-1") -> dict[str, Any]:
    names = ("status", "attempts", "worker_id", "processed_on", "finished_on", "result", "error")
    found = tell(f"SELECT {', '.join(names)} FROM intake WHERE id = ?", job_id)  # noqa: S608
    return dict(zip(names, found[0], strict=True))


async def take(ledger: Ledger, limit: int = 50, *, names: tuple[str, ...] | None = None) -> Loaded:
    batch = Batch(limit, TERMS, names)
    return await ledger.write(partial(intake.load, batch=batch, now=ledger.clock.utcnow()))
