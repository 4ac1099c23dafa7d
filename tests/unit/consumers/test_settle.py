"""What follows from an outcome, and how long until the next try."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.outcome import Cancelled, Completed, Failed, Failure
from consumers.pace import QUICK, SAMPLES, Pace
from consumers.retry import (
    Backoff,
    Jitter,
    ReconnectPolicy,
    RetryPolicy,
    reconnect_delay,
    retry_delay,
    suspect_delay,
)
from consumers.settle import Bury, Finish, Forget, TryAgain, settle

POLICY = RetryPolicy(attempts=3, delay=1.0, jitter=Jitter.NONE)
ROLLS = st.floats(0, 1, exclude_max=True)
LISTED = RetryPolicy(backoff=Backoff.LIST, delays=(1.0, 5.0, 30.0), jitter=Jitter.NONE)


def failed(**facts: object) -> Failed:
    return Failed(Failure("broken", **facts), 2.0)  # type: ignore[arg-type]  # by name


def test_a_result_is_finished_and_a_cancellation_forgotten() -> None:
    done = Completed({}, 1.0)

    assert settle(done, POLICY, attempts=0, roll=0.0) == Finish(done)
    assert settle(Cancelled(1.0), POLICY, attempts=0, roll=0.0) == Forget(1.0)


def test_the_attempts_of_a_policy_count_the_first_run() -> None:
    first, second, third = (settle(failed(), POLICY, attempts=n, roll=0.0) for n in range(3))

    assert first == TryAgain(Failure("broken"), delay=1.0, attempts=1, duration=2.0)
    assert second == TryAgain(Failure("broken"), delay=2.0, attempts=2, duration=2.0)
    assert third == Bury(Failure("broken"), attempts=3, duration=2.0)


def test_a_permanent_failure_is_buried_at_once() -> None:
    buried = settle(failed(permanent=True), POLICY, attempts=0, roll=0.0)

    assert isinstance(buried, Bury)


def test_a_delay_that_was_asked_for_is_kept_and_not_rolled_for() -> None:
    rolled = RetryPolicy(jitter=Jitter.FULL)

    again = settle(failed(after=60.0), rolled, attempts=0, roll=0.1)

    assert isinstance(again, TryAgain)
    assert again.delay == 60.0


def test_what_does_not_count_costs_no_attempt_however_often_it_happens() -> None:
    away = failed(counts=False, after=60.0)

    first, last = (settle(away, POLICY, attempts=n, roll=0.0) for n in (0, 2))

    assert first == TryAgain(away.failure, delay=60.0, attempts=0, duration=2.0)
    assert last == TryAgain(away.failure, delay=60.0, attempts=2, duration=2.0)


def test_what_does_not_count_and_names_no_delay_waits_like_a_first_failure() -> None:
    again = settle(failed(counts=False), POLICY, attempts=0, roll=0.0)

    assert isinstance(again, TryAgain)
    assert again.delay == 1.0


def test_a_delay_of_zero_may_be_asked_for() -> None:
    again = settle(failed(after=0.0), POLICY, attempts=0, roll=0.0)

    assert isinstance(again, TryAgain)
    assert again.delay == 0.0


@pytest.mark.parametrize(
    ("failures", "delay"), [(1, 1.0), (2, 5.0), (3, 30.0), (4, 30.0), (99, 30.0)]
)
def test_a_list_of_delays_repeats_its_last(failures: int, delay: float) -> None:
    assert retry_delay(LISTED, failed=failures, roll=0.0) == delay


def test_a_fixed_delay_does_not_grow() -> None:
    fixed = RetryPolicy(backoff=Backoff.FIXED, delay=7.0, jitter=Jitter.NONE)

    assert {retry_delay(fixed, failed=n, roll=0.0) for n in range(1, 9)} == {7.0}


@given(failures=st.integers(1, 10_000), roll=ROLLS, jitter=st.sampled_from(Jitter))
def test_no_retry_waits_longer_than_the_policys_longest(
    failures: int, roll: float, jitter: Jitter
) -> None:
    delay = retry_delay(RetryPolicy(max=600.0, jitter=jitter), failed=failures, roll=roll)

    assert 0 <= delay <= 600.0


@given(failures=st.integers(1, 10_000), roll=ROLLS)
def test_a_reconnect_waits_at_least_half_and_at_most_all_of_its_delay(
    failures: int, roll: float
) -> None:
    delay = reconnect_delay(ReconnectPolicy(1.0, 30.0), failed=failures, roll=roll)

    full = min(2.0 ** min(failures - 1, 60), 30.0)
    assert full / 2 <= delay <= full


def test_a_suspect_waits_four_times_longer_each_time() -> None:
    assert [suspect_delay(crashes) for crashes in (0, 1, 2, 3)] == [1.0, 1.0, 4.0, 16.0]


def test_jobs_are_quick_only_after_enough_of_them() -> None:
    pace = Pace(slots=3)
    for _ in range(SAMPLES - 1):
        pace.took(0.001)
    assert pace.prefetch == 3

    pace.took(0.001)

    assert pace.prefetch == 6


def test_a_pace_follows_jobs_that_become_slow() -> None:
    pace = Pace(slots=3)
    for _ in range(SAMPLES):
        pace.took(QUICK / 10)
    for _ in range(SAMPLES):
        pace.took(QUICK * 10)

    assert pace.prefetch == 3
