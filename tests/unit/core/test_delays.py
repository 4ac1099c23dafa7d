"""From when on an ordered job may run, and from when on it is on its way."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.topology import LONGEST_DELAY
from supervisor.core.delays import FURTHEST, Timing, timing

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_delay_is_kept_and_a_moment_becomes_one_whatever_its_offset() -> None:
    in_lisbon = datetime(2026, 11, 22, 14, 0, 10, tzinfo=timezone(timedelta(hours=2)))

    assert timing(90.0, None, now=NOW) == Timing(90.0)
    assert timing(0.0, in_lisbon, now=NOW) == Timing(10.0)


def test_a_moment_that_has_passed_is_now() -> None:
    assert timing(0.0, NOW - timedelta(days=9), now=NOW) == Timing(0.0)


@given(st.floats(0, FURTHEST))
def test_what_the_broker_cannot_keep_so_long_sets_out_when_it_can(delay: float) -> None:
    when = timing(delay, None, now=NOW)

    if delay <= LONGEST_DELAY:
        assert when == Timing(delay)
    else:
        assert when.post_at is not None
        left = delay - (when.post_at - NOW).total_seconds()
        assert 0 < left < LONGEST_DELAY
        assert when.post_at > NOW


@pytest.mark.parametrize(
    ("delay", "run_at", "said"),
    [
        (-1.0, None, "delay: must be 0 to"),
        (math.nan, None, "delay: must be 0 to"),
        (1e12, None, "delay: must be 0 to"),
        (0.0, datetime.max.replace(tzinfo=UTC), "runAt: must be 0 to"),
        (5.0, NOW, "delay: cannot be said together with runAt"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused_by_its_field(
    delay: float, run_at: datetime | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        timing(delay, run_at, now=NOW)
