"""When a pool has been worked off."""

from dataclasses import replace

import pytest

from supervisor.core.on_demand import (
    REACH,
    SETTLED,
    Seen,
    Tally,
    Wish,
    end,
    faults,
    shares,
    workers_for,
)

QUIET = Seen(passed=9.0, silent=SETTLED, away=0.0, ready=0, in_hand=False, soon=False)


def how(wish: Wish, seen: Seen, begun: int = 0) -> str:
    ended = end(wish, begun, seen)
    return "" if ended is None else ended.how


def test_a_run_ends_when_the_queue_is_empty_and_nothing_is_in_hand() -> None:
    assert how(Wish(), QUIET) == "empty"


@pytest.mark.parametrize(
    "changes", [{"ready": 1}, {"ready": None}, {"in_hand": True}, {"soon": True}, {"silent": 0.9}]
)
def test_an_empty_queue_is_believed_when_nothing_is_to_come(changes: dict[str, object]) -> None:
    assert how(Wish(), replace(QUIET, **changes)) == ""  # type: ignore[arg-type]  # by name


def test_a_run_that_waits_for_jobs_does_not_end_with_the_queue() -> None:
    assert how(Wish(until_empty=False, max_jobs=3), QUIET) == ""


def test_a_run_ends_when_as_many_jobs_as_were_asked_for_are_begun_and_done() -> None:
    wish, seen = Wish(max_jobs=3), replace(QUIET, ready=5)

    assert how(wish, replace(seen, in_hand=True), begun=3) == ""
    assert how(wish, seen, begun=2) == ""
    assert how(wish, seen, begun=3) == "jobs"


def test_a_run_ends_when_its_time_is_over_whatever_is_in_hand() -> None:
    seen = replace(QUIET, in_hand=True, ready=5, passed=10.0)

    assert how(Wish(max_seconds=10.0), seen) == "time"
    assert how(Wish(max_seconds=10.5), seen) == ""


def test_a_broker_that_is_away_is_waited_for_no_longer_than_the_run_may_take() -> None:
    away = replace(QUIET, ready=None, away=5.0, passed=5.0, trouble="connection refused")

    assert how(Wish(), away) == ""
    assert how(Wish(), replace(away, away=REACH)) == "broker"
    ended = end(Wish(max_seconds=5.0), 0, away)
    assert ended is not None
    assert (ended.how, ended.why) == (
        "broker",
        "the broker was not there for 5 s: connection refused",
    )


def test_a_run_ends_with_the_house_and_when_nothing_can_come_of_it() -> None:
    assert how(Wish(), replace(QUIET, ready=5, stopping=True)) == "stopped"
    assert how(Wish(), replace(QUIET, ready=5, hopeless="no worker comes up")) == "workers"


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (Wish(max_jobs=0), "maxJobs"),
        (Wish(max_seconds=0.0), "maxSeconds"),
        (Wish(max_seconds=1e9), "maxSeconds"),
        (Wish(instances=0), "instances"),
        (Wish(instances=257), "instances"),
        (Wish(until_empty=False), "untilEmpty"),
    ],
)
def test_a_wish_that_cannot_be_granted_names_its_field(wish: Wish, field: str) -> None:
    assert faults(wish).startswith(f"{field}: ")


def test_a_wish_needs_nothing() -> None:
    assert faults(Wish()) == ""
    assert faults(Wish(until_empty=False, max_seconds=50.0)) == ""


@pytest.mark.parametrize(
    ("wish", "ready", "left", "workers"),
    [
        (Wish(), 100, None, 1),
        (Wish(instances=4), 100, None, 4),
        (Wish(instances=4), 2, None, 2),
        (Wish(instances=4), None, None, 4),
        (Wish(instances=4, max_jobs=3), 100, 3, 3),
        (Wish(instances=4, until_empty=False, max_jobs=9), 0, 9, 4),
    ],
)
def test_a_pool_gets_no_more_workers_than_there_is_to_do(
    wish: Wish, ready: int | None, left: int | None, workers: int
) -> None:
    assert workers_for(wish, ready, left) == workers


def test_the_jobs_are_shared_out_among_the_workers_to_the_last_one() -> None:
    assert shares(10, 3) == (4, 3, 3)
    assert shares(2, 2) == (1, 1)


def test_a_tally_counts_what_became_of_the_jobs() -> None:
    tally = Tally()

    for event, job in [("active", "a"), ("active", "b"), ("waiting", "c"), ("completed", "a")]:
        tally.hear(event, job)
    tally.hear("failed", "b")
    for event in ("active", "retrying", "active", "cancelled"):
        tally.hear(event, "d")
    tally.hear("failed", "refused at the door")

    assert (tally.begun, tally.completed, tally.retried, tally.cancelled) == (4, 1, 1, 1)
    assert tally.failures == ["b", "refused at the door"]
