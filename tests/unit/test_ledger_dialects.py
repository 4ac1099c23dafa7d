"""Statements of the ledger are written down for SQLite and PostgreSQL alike."""

import pytest
from sqlalchemy import Dialect, text
from sqlalchemy.dialects import postgresql, sqlite

from supervisor.ledger.dialects import insert, random_id, utc_text
from supervisor.ledger.presence import here, is_gone
from supervisor.ledger.tables.jobs import attempts, jobs
from supervisor.ledger.tables.queues import embedded_queues

BOTH = pytest.mark.parametrize(
    "dialect",
    [sqlite.dialect(), postgresql.dialect()],  # type: ignore[no-untyped-call]  # SQLAlchemy's
    ids=["sqlite", "postgresql"],
)


@BOTH
def test_an_insert_that_meets_a_row_is_the_same_on_both(dialect: Dialect) -> None:
    entry = insert(attempts).values(queue="q", job_id="j")
    update = entry.on_conflict_do_update(
        index_elements=[attempts.c.queue, attempts.c.job_id],
        index_where=text("finished_at IS NULL"),
        set_={"worker": entry.excluded.worker},
    )

    words = str(update.compile(dialect=dialect))

    expected = (
        "ON CONFLICT (queue, job_id) WHERE finished_at IS NULL "
        "DO UPDATE SET worker = excluded.worker"
    )
    assert expected in words
    assert "RETURNING" not in words


@BOTH
def test_an_insert_that_may_do_nothing_is_the_same_on_both(dialect: Dialect) -> None:
    words = insert(embedded_queues).on_conflict_do_nothing().compile(dialect=dialect)

    assert str(words).endswith("ON CONFLICT DO NOTHING")


@pytest.mark.parametrize("word", [here(), random_id(), utc_text(), is_gone(jobs.c.node)])
def test_a_word_that_differs_is_known_to_both(word: here | random_id | utc_text | is_gone) -> None:
    texts = {
        str(word.compile(dialect=dialect())) for dialect in (sqlite.dialect, postgresql.dialect)
    }

    assert len(texts) == 2
