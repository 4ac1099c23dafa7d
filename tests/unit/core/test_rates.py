"""The generic cell rate algorithm: evenly spaced, a burst after a rest, never more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.limits import Rate
from supervisor.core.rates import APART, MICROSECONDS, Pace, pace, place, sober

NOW = 1_700_000_000 * MICROSECONDS

paces = st.builds(
    Pace, step=st.integers(1, 10 * MICROSECONDS), burst=st.integers(1, 20)
)  # fmt: skip
pauses = st.lists(st.integers(0, 30 * MICROSECONDS), min_size=1, max_size=60)


def taken(pace: Pace, pauses: list[int]) -> list[int]:
    """Return when jobs begin that come after these pauses, each in the first slot there is."""
    due = now = NOW
    begun = []
    for pause in pauses:
        now += pause
        slot = place(due, now, pace)
        due = slot.due
        begun.append(slot.at)
    return begun


def refused(pace: Pace, pauses: list[int]) -> list[int]:
    """Return when jobs begin that come after these pauses and go away when it is not at once."""
    due = now = NOW
    begun = []
    for pause in pauses:
        now += pause
        slot = place(due, now, pace)
        if slot.at <= now:
            due = slot.due
            begun.append(now)
    return begun


@pytest.mark.parametrize(
    ("rate", "step"),
    [
        (Rate(10, 1.0), 100_000),
        (Rate(100, 60.0), 600_000),
        (Rate(5, 3600.0), 720_000_000),
        (Rate(3, 1.0), 333_334),
    ],
)
def test_a_rate_is_a_step_that_never_exceeds_it(rate: Rate, step: int) -> None:
    assert pace(rate, 1) == Pace(step, 1)


def test_the_first_job_begins_at_once() -> None:
    assert place(NOW - 1, NOW, Pace(100)).at == NOW


def test_jobs_that_come_together_begin_a_step_apart() -> None:
    assert taken(Pace(100), [0, 0, 0]) == [NOW, NOW + 100, NOW + 200]


def test_after_a_rest_as_many_begin_together_as_the_burst_says() -> None:
    assert taken(Pace(100, 3), [0, 0, 0, 0, 0]) == [NOW, NOW, NOW, NOW + 100, NOW + 200]


def test_a_rest_saves_up_no_more_than_a_burst() -> None:
    pauses = [0, 0, 100_000, 0, 0, 0]

    begun = taken(Pace(100, 2), pauses)

    assert begun[2:] == [NOW + 100_000, NOW + 100_000, NOW + 100_100, NOW + 100_200]


@given(paces, pauses)
def test_no_window_has_more_jobs_than_its_share_and_a_burst(pace: Pace, pauses: list[int]) -> None:
    for begun in (taken(pace, pauses), refused(pace, pauses)):
        for first, start in enumerate(begun):
            for last, end in enumerate(begun[first:], first):
                assert last - first + 1 <= pace.burst + (end - start) // pace.step


@given(paces, pauses)
def test_slots_are_given_in_the_order_they_were_asked_for(pace: Pace, pauses: list[int]) -> None:
    begun = taken(pace, pauses)

    assert begun == sorted(begun)


@given(paces, st.integers(1, 60))
def test_no_slot_is_wasted_while_jobs_wait(pace: Pace, jobs: int) -> None:
    begun = taken(pace, [0] * jobs)

    assert begun[-1] == NOW + max(0, jobs - pace.burst) * pace.step


@given(paces, st.integers(0, 10**12))
def test_a_clock_that_is_set_back_costs_a_burst_and_some_seconds_at_most(
    pace: Pace, back: int
) -> None:
    due = sober(NOW + pace.burst * pace.step, NOW - back, pace)

    wait = place(due, NOW - back, pace).at - (NOW - back)
    assert wait <= pace.step + (back if back <= APART else 0)


@given(paces, st.integers(0, APART))
def test_who_has_read_the_clock_before_another_machine_takes_nothing_back(
    pace: Pace, earlier: int
) -> None:
    due = NOW + pace.burst * pace.step  # as the other one has left it

    assert sober(due, NOW - earlier, pace) == due
