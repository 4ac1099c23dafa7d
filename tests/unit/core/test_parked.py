"""What becomes of parked copies, and of deliveries whose job is running already."""

import pytest

from consumers.desk import Claim, Drop, Park
from consumers.jobs import Properties
from supervisor.core.parked import Fate, again, judge_parked, judge_running
from supervisor.core.records import JobState, Known

OPEN = [state for state in JobState if not state.is_final]
OVER = [state for state in JobState if state.is_final]


def known(state: JobState = JobState.ACTIVE, **changes: object) -> Known:
    return Known(id="j1", state=state, **changes)  # type: ignore[arg-type]  # by name


def a_claim(seq: int = 0, attempts: int = 0) -> Claim:
    return Claim("q", b"{}", Properties(), "f", job_id="j1", seq=seq, attempts=attempts)


# --- parked copies ---------------------------------------------------------------------------


@pytest.mark.parametrize("state", OPEN)
def test_the_copy_of_a_job_in_hand_is_held(state: JobState) -> None:
    assert judge_parked(2, known(state, seq=2), in_hand=True) is Fate.HOLD


def test_the_copy_of_a_job_that_was_granted_a_moment_ago_is_held() -> None:
    assert judge_parked(2, None, in_hand=True) is Fate.HOLD


@pytest.mark.parametrize("state", OPEN)
def test_the_copy_of_a_job_that_nobody_has_in_hand_goes_back_to_its_pool(state: JobState) -> None:
    assert judge_parked(2, known(state, seq=2), in_hand=False) is Fate.MOVE


def test_the_copy_of_a_job_that_this_ledger_never_met_goes_to_its_pool() -> None:
    assert judge_parked(2, None, in_hand=False) is Fate.MOVE


@pytest.mark.parametrize("state", OVER)
@pytest.mark.parametrize("in_hand", [True, False])
def test_the_copy_of_a_job_that_is_over_is_not_needed(state: JobState, in_hand: bool) -> None:  # noqa: FBT001
    assert judge_parked(2, known(state, seq=2), in_hand=in_hand) is Fate.DONE


def test_a_copy_that_is_newer_than_the_end_of_its_job_is_judged_by_a_claim() -> None:
    assert judge_parked(3, known(JobState.FAILED, seq=2), in_hand=False) is Fate.MOVE


@pytest.mark.parametrize("in_hand", [True, False])
def test_a_copy_is_not_needed_once_a_newer_one_is_stored(in_hand: bool) -> None:  # noqa: FBT001
    assert judge_parked(2, known(seq=3, confirmed=True), in_hand=in_hand) is Fate.DONE


@pytest.mark.invariant(1)
def test_a_copy_is_kept_while_a_newer_one_may_never_have_been_stored() -> None:
    unconfirmed = known(JobState.DELAYED, seq=3, confirmed=False)

    assert judge_parked(2, unconfirmed, in_hand=True) is Fate.HOLD
    assert judge_parked(2, unconfirmed, in_hand=False) is Fate.MOVE


def test_a_copy_that_could_not_be_judged_is_judged_again_soon_then_ever_less_often() -> None:
    assert [again(failed, roll=1.0) for failed in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert [again(failed, roll=0.0) for failed in (1, 2, 1000)] == [0.5, 1, 15]


# --- deliveries of a running job -------------------------------------------------------------


@pytest.mark.invariant(1)
@pytest.mark.parametrize("confirmed", [True, False])
def test_one_more_delivery_of_a_running_job_is_parked(confirmed: bool) -> None:  # noqa: FBT001
    """It may be all that the broker has of the job."""
    verdict = judge_running(a_claim(seq=2, attempts=1), known(seq=2, confirmed=confirmed))

    assert verdict == Park("j1", 3, attempts=1)


def test_a_delivery_older_than_a_copy_that_is_stored_is_stale() -> None:
    assert judge_running(a_claim(seq=1), known(seq=2, confirmed=True)) == Drop("j1", "stale")


def test_a_delivery_older_than_a_copy_that_is_not_known_to_be_stored_is_parked() -> None:
    verdict = judge_running(a_claim(seq=1), known(seq=2, confirmed=False, attempts=4))

    assert verdict == Park("j1", 3, attempts=4)
