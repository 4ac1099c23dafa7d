"""Whether jobs are consumed as they should be, and every reason why not."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from consumers.holds import ALONE, SUSPECT
from supervisor.core.conditions import LEDGER, OPERATOR
from supervisor.core.fleet import Fleet, PoolPolicy, Stopping, Worker
from supervisor.core.lifecycle import WorkerState
from supervisor.core.readiness import (
    BROKER,
    CRASHING,
    MOMENT,
    NO_WORKER,
    PARKING,
    STOPPING,
    Condition,
    Parking,
    Scene,
    conditions,
    held,
    is_ready,
    unserved,
)

IDLE = Worker(id="a-1", pool="a", state=WorkerState.IDLE, consuming=True)
DOWN = Worker(id="a-2", pool="a", state=WorkerState.CRASHED, streak=1)


def fleet(*workers: Worker, pools: tuple[str, ...] = ("a",), **changes: object) -> Fleet:
    found = Fleet(
        MappingProxyType({pool: PoolPolicy(name=pool) for pool in pools}),
        MappingProxyType({worker.id: worker for worker in workers}),
    )
    return replace(found, **changes)  # type: ignore[arg-type]  # by name


def reasons(scene: Scene, now: float = 100.0) -> list[tuple[str, str]]:
    return [(each.name, each.pool) for each in conditions(scene, now)]


def test_a_pool_with_one_worker_that_consumes_is_served() -> None:
    assert reasons(Scene(fleet(IDLE, DOWN))) == []


def test_a_worker_in_which_a_suspect_runs_alone_is_at_no_fault() -> None:
    assert reasons(Scene(fleet(replace(IDLE, holds={SUSPECT: ALONE})))) == []


def test_a_pool_that_nobody_serves_says_how_its_workers_stand_and_for_how_long() -> None:
    away = replace(IDLE, consuming=False, broker="localhost:5672: connection refused")
    scene = Scene(fleet(away, DOWN), unserved_since={"a": 88.0})

    assert conditions(scene, 100.0) == (
        Condition(
            NO_WORKER,
            "none consumes (1 idle, 1 crashed): localhost:5672: connection refused",
            "a",
            12.0,
        ),
    )


def test_without_a_broker_the_pools_are_not_blamed_for_it() -> None:
    scene = Scene(fleet(replace(IDLE, consuming=False)), broker="connection refused")

    assert reasons(scene) == [(BROKER, "")]


def test_jobs_that_cannot_be_parked_are_a_reason_that_says_why_it_matters() -> None:
    shut = Parking(is_open=False, why="q: access refused (grant it)", is_ours=True)

    (reason,) = conditions(Scene(fleet(IDLE), parking=shut, unparked_since=97.0), 100.0)

    assert (reason.name, reason.seconds, reason.is_wanted) == (PARKING, 3.0, False)
    assert "30 minutes" in reason.why
    assert reason.why.endswith(": q: access refused (grant it)")


@pytest.mark.parametrize(
    ("parking", "since", "found"),
    [
        pytest.param(Parking(), 0.0, [], id="it is open, or nothing is parked"),
        pytest.param(Parking(is_open=False), None, [], id="not yet, since a moment"),
        pytest.param(Parking(is_open=False), 100.0 - MOMENT, [], id="a moment"),
        pytest.param(Parking(is_open=False), 99.0 - MOMENT, [PARKING], id="longer than that"),
        pytest.param(Parking(is_open=False, is_ours=True), None, [PARKING], id="surely for long"),
    ],
)
def test_a_moment_without_a_place_to_park_is_no_reason(
    parking: Parking, since: float | None, found: list[str]
) -> None:
    scene = Scene(fleet(IDLE), parking=parking, unparked_since=since)

    assert [name for name, _ in reasons(scene)] == found


def test_without_a_broker_or_while_it_stops_nobody_asks_for_a_place_to_park() -> None:
    shut = Parking(is_open=False, is_ours=True)

    assert reasons(Scene(fleet(IDLE), broker="refused", parking=shut)) == [(BROKER, "")]
    leaving = fleet(IDLE, stopping=Stopping.DRAINING)
    assert reasons(Scene(leaving, parking=shut)) == [(STOPPING, "")]


def test_a_pool_whose_every_worker_crashes_again_and_again_is_not_ready_between_crashes() -> None:
    looping = replace(IDLE, streak=3)

    assert reasons(Scene(fleet(looping, replace(DOWN, streak=4)))) == [(CRASHING, "a")]
    assert reasons(Scene(fleet(looping, replace(DOWN, streak=2)))) == []


def test_a_worker_that_has_run_for_long_enough_is_in_no_crash_loop() -> None:
    mended = replace(IDLE, streak=9, ready_at=40.0)

    assert reasons(Scene(fleet(mended)), now=99.0) == [(CRASHING, "a")]
    assert reasons(Scene(fleet(mended)), now=100.0) == []


def test_a_pool_without_workers_or_with_stopped_ones_alone_is_as_somebody_wanted_it() -> None:
    stopped = replace(IDLE, state=WorkerState.STOPPED, consuming=False)

    assert unserved(fleet(stopped, pools=("a", "b"))) == frozenset()
    assert unserved(fleet(stopped, DOWN)) == {"a"}


def test_a_hold_on_all_is_one_reason_and_the_workers_echo_of_it_none() -> None:
    echo = replace(IDLE, holds={LEDGER: "full", "dead letters": "refused"})
    scene = Scene(fleet(echo), holds={LEDGER: "full"}, held_since={LEDGER: 95.0})

    assert conditions(scene, 100.0) == (
        Condition(LEDGER, "full", seconds=5.0),
        Condition("dead letters", "refused", "a"),
    )
    assert reasons(Scene(fleet(replace(IDLE, holds={LEDGER: "full"})))) == []


@pytest.mark.parametrize(
    ("holds", "ready"),
    [({}, True), ({OPERATOR: "maintenance"}, True), ({OPERATOR: "m", "ffmpeg": "missing"}, False)],
)
def test_what_an_operator_wanted_does_not_make_it_unready(
    holds: Mapping[str, str], *, ready: bool
) -> None:
    paused = {IDLE.pool: holds[OPERATOR]} if OPERATOR in holds else {}
    echo = replace(IDLE, holds={**holds, OPERATOR: "what was said before"})
    found = conditions(Scene(fleet(echo), paused=paused), 0.0)

    assert len(found) == len(holds)
    assert is_ready(found) is ready


def test_a_paused_pool_without_any_worker_says_so_too() -> None:
    found = conditions(Scene(fleet(pools=("a",)), paused={"a": "maintenance"}), 0.0)

    assert found == (Condition(OPERATOR, "maintenance", "a", is_wanted=True),)


def test_a_house_that_stops_says_that_alone() -> None:
    leaving = fleet(replace(IDLE, consuming=False), stopping=Stopping.DRAINING)

    assert reasons(Scene(leaving)) == [(STOPPING, "")]


def test_the_holds_of_a_pool_are_those_on_all_and_those_of_its_workers() -> None:
    lame = replace(IDLE, id="b-1", pool="b", holds={"ffmpeg": "missing", LEDGER: "stale"})

    assert held(fleet(IDLE, lame, pools=("a", "b")), {LEDGER: "full"}, {"a": "paused"}) == {
        ("a", OPERATOR): "paused",
        ("a", LEDGER): "full",
        ("b", LEDGER): "full",
        ("b", "ffmpeg"): "missing",
    }


def test_a_reason_is_one_line() -> None:
    assert Condition("ledger", "full").sentence == "ledger: full"
    assert Condition("ffmpeg", "missing", "a").sentence == "pool a: ffmpeg: missing"
