"""Rows that another program inserts while the supervisor is killed: each is done, and says so."""

import contextlib
import random
import secrets
import sqlite3
from collections import Counter

import psycopg
import pytest

from supervisor.client import Client
from supervisor.desks.queues import HouseStats
from tests.journeys.conftest import Configured
from tests.support import processors
from tests.support.ledgers import postgres, postgres_url
from tests.support.postgresql import PASSWORD
from tests.support.program import Program
from tests.support.rabbitmq import PrivateRabbit

__all__ = ["postgres", "postgres_url"]

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]

KILLS = 2
ROWS = 100  # in each life
AT_ONCE = 4
# Jobs that a kill may catch between their end and its record: while they are quick, a worker has
# twice as many deliveries in hand as slots.
IN_HAND = 2 * AT_ONCE


@pytest.mark.invariant(1)
def test_rows_that_are_inserted_while_it_is_killed_are_done_and_none_is_lost_or_doubled(
    driver: str, configured: Configured
) -> None:
    seed = secrets.randbelow(10**6)
    dice = random.Random(seed)  # noqa: S311 - any will do: rows are inserted, taken in, done
    pools = {"toy": {"concurrency": AT_ONCE}}
    pace = {"batch_size": 7, "interval": "100ms"}
    program = configured(pools, driver, intake=pace).start()
    for life in range(KILLS):
        with program.crashing(after=dice.random()):
            _insert(program, life)
        program.start()
    total = KILLS * ROWS
    program.wait_until(lambda: _status(program)["completed"] == total, "all rows", within=40)

    begun = Counter(run.name for run in processors.runs(program.media))
    shown = f"seed {seed}"
    assert _status(program) == {"completed": total}, shown
    assert program.ledger("SELECT count(*), count(DISTINCT id) FROM jobs") == [(total, total)]
    assert len(begun) == total, shown
    assert sum(begun.values()) - total <= KILLS * IN_HAND, shown
    assert program.ledger("SELECT count(*) FROM intake WHERE attempts = 1") == [(total,)]


def test_a_row_that_is_no_job_stops_nothing_and_the_stats_say_what_is_going_on(
    each_driver: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, each_driver, intake={"interval": "100ms"}).start()
    _tell(program, "INSERT INTO intake (id, queue_name) VALUES ('bad', 'elsewhere')")
    program.may_raise = True
    columns = "INSERT INTO intake (id, queue_name, data, priority, max_attempts)"
    fails = '{"do": "fail", "times": 9}'
    _tell(program, f"{columns} VALUES ('fails', 'toy', ?, 1, 1)", fails)
    _tell(program, f"{columns} VALUES ('good', 'toy_queue', '{{}}', 2, NULL)")
    program.wait_until(lambda: _status(program) == {"failed": 2, "completed": 1}, "all rows")
    with Client(program.socket) as client:
        stats = client.ask("GET", "/api/stats", HouseStats)

    rows = {name: (error, by) for name, error, by in program.ledger(
        "SELECT id, error, worker_id FROM intake")}  # fmt: skip
    assert rows["bad"][0].startswith("queue_name: no pool or queue 'elsewhere' is configured")
    assert rows["fails"][0]
    assert rows["good"] == (None, "toy-1")
    assert not stats.worker.batch_loading
    assert program.lines("rows of the intake refused")


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_a_server_says_that_there_are_rows(
    rabbit: PrivateRabbit, postgres_url: str, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    never = {"interval": "1h"}
    program = configured({"toy": {}}, url, ledger=postgres_url, intake=never).start()
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("INSERT INTO intake (id, queue_name) VALUES ('order-1', 'toy')")
        asked = "SELECT status, worker_id, result IS NOT NULL FROM intake"
        done = [("completed", "toy-1", True)]
        program.wait_until(lambda: other.execute(asked).fetchall() == done, "its row to say so")

    assert program.stop() == 0
    assert PASSWORD not in program.log


def test_work_on_demand_takes_the_rows_of_its_pool_and_leaves_the_others(
    configured: Configured,
) -> None:
    program = configured({"toy": {"instances": 0}, "other": {}})
    assert program.cli("work", "toy", "--until-empty").returncode == 0
    _tell(program, "INSERT INTO intake (queue_name) VALUES ('toy'), ('toy_queue'), ('other')")
    assert program.cli("work", "toy", "--until-empty").returncode == 0

    assert _status(program) == {"completed": 2, "pending": 1}


def _insert(program: Program, batch: int) -> None:
    for number in range(ROWS):
        name = f"{batch}/{number}"
        words = "INSERT INTO intake (id, queue_name, data) VALUES (?, 'toy', ?)"
        _tell(program, words, name, f'{{"name": "{name}"}}')


def _tell(program: Program, words: str, *values: object) -> None:
    file = program.folder / "ledger.db"
    with contextlib.closing(sqlite3.connect(file, timeout=10)) as own, own:
        own.execute(words, values)


def _status(program: Program) -> Counter[str]:
    found = program.ledger("SELECT status, count(*) FROM intake GROUP BY status")
    return Counter(dict(found))
