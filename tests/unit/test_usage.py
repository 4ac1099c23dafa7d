"""Niceness follows the share of a processor."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.usage import NICEST, Meter, niceness


@pytest.mark.parametrize(
    ("share", "nice"), [(2.0, 0), (1.0, 0), (0.5, 5), (0.25, 10), (0.1, 17), (0.001, 19), (0.0, 19)]
)
def test_a_smaller_share_is_nicer(share: float, nice: int) -> None:
    assert niceness(share) == nice


@given(st.floats(min_value=0.0, max_value=64.0), st.floats(min_value=0.0, max_value=64.0))
def test_niceness_never_falls_with_the_share(one: float, other: float) -> None:
    small, large = sorted((one, other))

    assert 0 <= niceness(large) <= niceness(small) <= NICEST


def test_a_meter_tells_cpu_from_the_second_measure_on_and_forgets_the_dead() -> None:
    meter = Meter()

    first = meter.measure({"me": os.getpid(), "nobody": 2**22 + 1}, now=1.0)
    sum(range(2_000_000))
    second = meter.measure({"me": os.getpid()}, now=1.5)

    assert set(first) == {"me"}
    assert first["me"].cpu == 0.0
    assert first["me"].memory > 10_000_000
    assert second["me"].cpu > 0.0
