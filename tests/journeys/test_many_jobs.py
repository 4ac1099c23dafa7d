"""Two thousand jobs that do nothing: every one of them is counted, once."""

import sqlite3

import pytest

from tests.journeys.conftest import Configured
from tests.support import publisher

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]

MANY = 2000
SOME = 300  # each is a request of its own through the control socket
NOOP = {"noop": {"processor": "examples.noop", "instances": 2}}


@pytest.mark.rabbitmq
def test_two_thousand_published_jobs_are_two_thousand_completed_jobs(
    vhost_url: str, configured: Configured
) -> None:
    program = configured(NOOP, vhost_url)
    publisher.publish_each(vhost_url, "noop_queue", (b'{"number": %d}' % n for n in range(MANY)))

    program.start()
    program.wait_for_count("completed", MANY, within=90)
    assert program.stop() == 0

    assert program.ledger("SELECT state, count(*) FROM jobs GROUP BY state") == [
        ("completed", MANY)
    ]
    assert program.ledger("SELECT count(DISTINCT body) FROM jobs") == [(MANY,)]
    _is_sound(program.folder / "ledger.db")
    assert publisher.depth(vhost_url, "noop_queue", "noop_queue.priority", "noop_queue_dlq") == 0


def test_embedded_queues_count_as_well(configured: Configured) -> None:
    program = configured(NOOP).start()

    job_ids = program.submit("noop", *({"number": n} for n in range(SOME)))
    program.wait_for_count("completed", SOME, within=60)
    queue = program.status().queues[0]
    assert program.stop() == 0

    done = {row[0] for row in program.ledger("SELECT id FROM jobs WHERE state = 'completed'")}
    assert done == set(job_ids)
    assert (queue.completed, queue.ready, queue.active, queue.dead) == (SOME, 0, 0, 0)
    assert program.ledger("SELECT count(*) FROM embedded_messages") == [(0,)]
    _is_sound(program.folder / "ledger.db")


def _is_sound(file: object) -> None:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
