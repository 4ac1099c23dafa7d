"""What may be wished of a job in which state: every wish has an answer for every state."""

import itertools

import pytest

from supervisor.core.records import JobState
from supervisor.core.steering import Go, Granted, Refused, Wish, rule


@pytest.mark.parametrize(("wish", "state"), [*itertools.product(Wish, JobState)])
def test_every_refusal_says_the_state_and_what_to_do(wish: Wish, state: JobState) -> None:
    match rule(wish, state):
        case Refused(why):
            assert why.startswith("is ")
            assert ": " in why
        case Go() | Granted():
            pass


@pytest.mark.invariant(15)
@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.REMOVED])
def test_nothing_but_a_retry_brings_back_what_was_called_off(state: JobState) -> None:
    back = [wish for wish in Wish if wish is not Wish.REMOVE and isinstance(rule(wish, state), Go)]

    assert back == ([Wish.RETRY] if state is JobState.CANCELLED else [])


def test_a_running_job_can_only_be_cancelled() -> None:
    assert [wish for wish in Wish if rule(wish, JobState.ACTIVE) == Go()] == [Wish.CANCEL]
