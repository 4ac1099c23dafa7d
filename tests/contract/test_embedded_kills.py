"""The embedded queues and their ledger, killed a hundred times: nothing confirmed is lost."""

import asyncio
import json
import os
import secrets
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from consumers.broker.embedded import EmbeddedBroker
from consumers.clock import SystemClock
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from tests.support import hammer
from tests.support.hammer import ACKED, ACKING, CREATED, DELIVERED, FORGOTTEN, PUBLISHED
from tests.support.inbox import Inbox

KILLS = 100
REPOSITORY = Path(__file__).parents[2]


@pytest.mark.processes
@pytest.mark.invariant(1)
@pytest.mark.timeout(120)
async def test_a_hundred_kills_lose_nothing_that_was_confirmed_and_bring_nothing_acked_back(
    tmp_path: Path,
) -> None:
    url, seed = f"sqlite:///{tmp_path}/ledger.db", secrets.randbelow(10**6)
    said = await asyncio.to_thread(_hammer, url, seed)
    published, acked = set(said[PUBLISHED]), set(said[ACKED])
    in_doubt = set(said[ACKING]) - acked  # asked for, and killed before the answer

    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        created = {row[0] for row in connection.execute("SELECT id FROM jobs")}
    left = await _take_all(url)

    shown = f"seed {seed}"
    least = min(len(said[kind]) for kind in (PUBLISHED, DELIVERED, ACKED, CREATED))
    assert least > KILLS // 3, shown
    assert set(said[CREATED]) <= created, shown
    assert len(left) == len(set(left)), shown
    assert published - acked - in_doubt <= set(left), shown
    assert not acked & set(left), shown
    assert said.get(FORGOTTEN, []) == [], shown


def _hammer(url: str, seed: int) -> dict[str, list[str]]:
    command = [sys.executable, "-m", hammer.__name__, url, str(KILLS), str(seed)]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": f"src:{REPOSITORY}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    return dict(json.loads(done.stdout))


async def _take_all(url: str) -> list[str]:
    """Return every message that is left, by its body."""
    ledger = await Ledger.open(url, clock=SystemClock())
    queues = await Queues.open(ledger)
    session = await EmbeddedBroker(queues.local("test")).connect()
    inbox = Inbox()
    count = await session.depth(hammer.POOL.public)
    if count:
        await session.consume(hammer.POOL.public, prefetch=count, receive=inbox.receive)
    left = [each.message.body.decode() for each in await inbox.take_several(count)]
    await queues.close()
    await ledger.close()
    return left
