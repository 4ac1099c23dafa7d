"""What a row of the intake table means: whatever lies there, it is a job or refused by name."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from consumers.jobs import Priority
from consumers.topology import pool_queues
from supervisor.core.intake import BadRowError, Pace, Row, Terms, called, order
from supervisor.core.records import NewJob, PoolCard

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CARDS = {
    "mail": PoolCard("mail", pool_queues("letters")),
    "letters": PoolCard("letters", pool_queues("other")),
    "counted": PoolCard("counted", pool_queues("numbers"), scale={10: Priority.CRITICAL}),
}
TERMS = Terms(called(CARDS), 1_000)
ROW = Row(b"row-1", b"mail")

cells = some.none() | some.binary(max_size=30) | some.text(max_size=30).map(str.encode)
numbers = some.integers(-(10**20), 10**20).map(lambda number: str(number).encode())


def judged(row: Row) -> NewJob | str:
    try:
        return order(row, TERMS, now=NOW)
    except BadRowError as error:
        return str(error)


rows = some.builds(
    Row, cells, some.sampled_from([b"mail", b"nowhere", None]), cells, cells, cells | numbers,
    cells | numbers, cells | numbers, cells | numbers,
)  # fmt: skip


@given(rows)
def test_whatever_lies_in_a_row_it_is_a_job_or_its_column_is_named(row: Row) -> None:
    found = judged(row)

    if isinstance(found, str):
        assert found.partition(":")[0].partition(".")[0] in Row.__slots__
    else:
        assert found.pool == "mail"
        assert found.delay >= 0


def test_a_row_names_a_queue_or_else_a_pool() -> None:
    pools = {
        name: order(replace(ROW, queue_name=name.encode()), TERMS, now=NOW).pool
        for name in ("mail", "letters", "other")
    }

    assert pools == {"mail": "mail", "letters": "mail", "other": "letters"}


@pytest.mark.parametrize(
    ("queue", "said", "priority"),
    [
        (b"mail", None, Priority.NORMAL),
        (b"mail", b"1", Priority.CRITICAL),
        (b"mail", b"background", Priority.BACKGROUND),
        (b"counted", b"10", Priority.CRITICAL),
    ],
)
def test_a_priority_counts_as_its_pool_counts(
    queue: bytes, said: bytes | None, priority: Priority
) -> None:
    assert order(replace(ROW, queue_name=queue, priority=said), TERMS, now=NOW).priority is priority


def test_what_the_data_says_about_the_type_goes_first() -> None:
    said = order(replace(ROW, type=b"a"), TERMS, now=NOW)
    both = order(replace(ROW, type=b"a", data=b'{"type": "b"}'), TERMS, now=NOW)

    assert (said.name, said.properties.type) == ("a", "a")
    assert (both.name, both.properties.type) == ("b", "b")


@pytest.mark.parametrize(
    ("moment", "delay"),
    [
        (b"2026-11-22T12:00:30Z", 30.0),
        (b"2026-11-22 12:00:30", 30.0),
        (b"2026-11-22T13:00:30+01:00", 30.0),
        (b"2020-01-01", 0.0),
        (b"1795348830000", 30.0),
    ],
)
def test_a_moment_may_be_written_in_several_ways(moment: bytes, delay: float) -> None:
    found = order(replace(ROW, scheduled_for=moment, delay_ms=b"99"), TERMS, now=NOW)

    assert found.delay == delay


def test_what_is_far_away_is_not_published_before_it_has_come_near() -> None:
    found = order(replace(ROW, scheduled_for=b"2028-01-01"), TERMS, now=NOW)

    assert found.post_at is not None
    assert found.post_at > NOW


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (replace(ROW, id=None), "id: must be 1 to 200 bytes"),
        (replace(ROW, id=b"a\nb"), "id: must be 1 to 200 bytes"),
        (replace(ROW, id=b"\xff"), "id: is not UTF-8 text"),
        (replace(ROW, type=b"a\0"), "type: must not contain the character NUL"),
        (replace(ROW, data=b"[]"), "data: must be a JSON object"),
        (replace(ROW, data=b" " * 1001), "data: is 1,001 bytes, the limit is 1,000"),
        (replace(ROW, priority=b"0"), "priority: must be one of"),
        (replace(ROW, max_attempts=b"1001"), "max_attempts: must be a whole number"),
        (replace(ROW, delay_ms=b"1.5"), "delay_ms: must be a whole number"),
        (replace(ROW, scheduled_for=b"9999-01-01"), "scheduled_for: must be 0 to"),
        (replace(ROW, scheduled_for=b"9" * 30), "scheduled_for: must be like"),
    ],
)
def test_a_mistake_is_named(row: Row, words: str) -> None:
    found = judged(row)

    assert isinstance(found, str)
    assert found.startswith(words)


def test_so_many_batches_may_be_on_their_way() -> None:
    assert Pace().most_on_the_way == 500
