"""What a coordinator does about a job that another one was asked to cancel."""

import pytest

from supervisor.core.cancellations import Step, Wished, came_first, step
from supervisor.core.records import FINAL, JobState


@pytest.mark.parametrize("state", [each for each in JobState if each not in FINAL])
def test_what_has_not_ended_is_stopped(state: JobState) -> None:
    assert step(Wished("clips", "a", 0, state)) is Step.STOP


def test_what_another_machine_runs_by_now_is_handed_on() -> None:
    wished = Wished("clips", "a", 0, JobState.ACTIVE, is_elsewhere=True)
    assert step(wished) is Step.HAND_ON


@pytest.mark.parametrize("state", [*FINAL, None])
def test_what_has_ended_is_gone_or_lives_anew_is_forgotten(state: JobState | None) -> None:
    assert step(Wished("clips", "a", 0, state)) is Step.FORGET


def test_what_the_ledger_has_cancelled_is_told_of() -> None:
    wished = Wished("clips", "a", 0, JobState.CANCELLED, is_done=True)
    assert step(wished) is Step.TELL


def test_only_an_end_of_its_own_comes_first() -> None:
    said = {state for state in JobState if came_first(state)}
    assert said == {JobState.COMPLETED, JobState.FAILED}
