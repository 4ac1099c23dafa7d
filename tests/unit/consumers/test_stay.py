"""When jobs leave their slots: those with an id at once, of the others a third."""

from functools import partial

import pytest

from consumers.stay import Nameless, Stay


class Worker:
    """Slots, and the jobs that have left theirs, in order."""

    def __init__(self, slots: int) -> None:
        self.nameless = Nameless(slots)
        self.left: list[str] = []

    def begin(self, *names: str) -> list[Stay]:
        return [Stay(self.nameless, partial(self.left.append, name)) for name in names]


def test_a_job_with_an_id_leaves_its_slot_when_its_run_is_over() -> None:
    worker = Worker(slots=1)
    for stay in worker.begin("a", "b"):
        stay.ran(is_nameless=False)

    assert worker.left == ["a", "b"]
    assert worker.nameless.number == 0


@pytest.mark.parametrize(("slots", "early"), [(1, 0), (2, 0), (3, 1), (5, 1), (6, 2), (15, 5)])
def test_of_jobs_without_an_id_a_third_of_the_slots_leave_before_they_are_settled(
    slots: int, early: int
) -> None:
    worker = Worker(slots)
    names = [f"job-{number}" for number in range(slots)]
    for stay in worker.begin(*names):
        stay.ran(is_nameless=True)

    assert worker.left == names[:early]


def test_when_one_is_settled_another_may_leave_before_it_is() -> None:
    worker = Worker(slots=3)
    first, second, third = worker.begin("first", "second", "third")
    first.ran(is_nameless=True)
    second.ran(is_nameless=True)

    first.settled()
    third.ran(is_nameless=True)

    assert worker.left == ["first", "third"]


def test_a_job_that_kept_its_slot_until_it_is_settled_makes_no_room_for_others_by_it() -> None:
    worker = Worker(slots=3)
    early, kept, late = worker.begin("early", "kept", "late")
    early.ran(is_nameless=True)
    kept.ran(is_nameless=True)

    kept.settled()
    late.ran(is_nameless=True)

    assert worker.left == ["early", "kept"]


def test_a_job_leaves_its_slot_once_whether_it_ran_or_not() -> None:
    worker = Worker(slots=3)
    ran, early, unrun = worker.begin("ran", "early", "unrun")
    ran.ran(is_nameless=False)
    early.ran(is_nameless=True)

    for stay in (ran, early, unrun):
        stay.settled()

    assert worker.left == ["ran", "early", "unrun"]
    assert worker.nameless.number == 0


def test_a_job_that_leaves_early_is_counted_before_its_slot_is_filled() -> None:
    nameless = Nameless(slots=3)
    seen: list[int] = []
    stay = Stay(nameless, lambda: seen.append(nameless.number))

    stay.ran(is_nameless=True)
    stay.settled()

    assert seen == [1]
