"""Whether the coordinator is well, and what it says of itself."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from supervisor.core.events import StartedJob
from supervisor.core.fleet import Fleet, PoolPolicy, Stopping, initial
from supervisor.core.lifecycle import WorkerState
from supervisor.core.vitals import (
    FAREWELL,
    Neglect,
    PipeReading,
    Vitals,
    ailment,
    neglected,
    sentence,
    time_to_stop,
)

JOB = StartedJob("download_queue", "j1", 1, 0.0)


def _fleet(*pools: PoolPolicy, state: WorkerState = WorkerState.IDLE) -> Fleet:
    fleet, _ = initial(pools or (PoolPolicy(name="download", instances=2),), 0.0)
    for worker in fleet.workers.values():
        fleet = fleet.with_worker(replace(worker, state=state, pid=7, ordered_at=None))
    return fleet


def _with(fleet: Fleet, name: str, **changes: object) -> Fleet:
    return fleet.with_worker(replace(fleet.workers[name], **changes))  # type: ignore[arg-type]  # any field


# --- what stands still --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vitals", "words"),
    [
        (Vitals(), ""),
        (Vitals(behind=10.0, unwritten=10.0, unheard={"download-1": 10.0}), ""),
        (Vitals(behind=10.1), "10 s behind with its events"),
        (Vitals(unwritten=70.0), "ledger has not answered a write for 70 s"),
        (Vitals(unwritten=float("inf")), "ledger has not answered"),
        (Vitals(unheard={"a-1": 3.0, "b-1": 11.0, "b-2": 12.0}), "to b-1, b-2 for 12 s"),
    ],
)
def test_what_stands_still_for_longer_than_the_limit_is_named(vitals: Vitals, words: str) -> None:
    found = ailment(vitals, limit=10.0)

    assert words in found
    assert bool(found) == bool(words)


def test_a_pipe_is_neglected_from_when_words_wait_and_none_is_taken() -> None:
    first = neglected({}, _pipe(5, is_waiting=True), 1.0)
    second = neglected(first, _pipe(5, is_waiting=True), 9.0)

    assert second == {"toy-1": Neglect(1.0, 5)}


@pytest.mark.parametrize(
    "later",
    [PipeReading(6, is_waiting=False), PipeReading(5, is_waiting=False)],
    ids=["served", "read to its end"],
)
def test_an_empty_pipe_is_not_neglected(later: PipeReading) -> None:
    first = neglected({}, _pipe(5, is_waiting=True), 1.0)

    assert neglected(first, {"toy-1": later}, 9.0) == {}


def test_a_pipe_that_is_never_empty_is_served_all_the_same() -> None:
    first = neglected({}, _pipe(5, is_waiting=True), 1.0)

    assert neglected(first, _pipe(6, is_waiting=True), 9.0) == {"toy-1": Neglect(9.0, 6)}


def _pipe(taken: int, *, is_waiting: bool) -> Mapping[str, PipeReading]:
    return {"toy-1": PipeReading(taken, is_waiting)}


# --- what is said -------------------------------------------------------------------------------


def test_a_house_that_works_says_who_and_how_much() -> None:
    fleet = _with(_fleet(), "download-1", jobs=(JOB,), state=WorkerState.PROCESSING)

    assert sentence(fleet, trouble="") == "2 workers, 1 job running, broker connected"


def test_workers_that_do_not_run_are_missing_from_the_count() -> None:
    fleet = _with(_fleet(), "download-1", state=WorkerState.CRASHED)

    assert sentence(fleet, trouble="").startswith("1 of 2 workers, 0 jobs running")


def test_a_broker_that_is_away_is_waited_for_in_its_own_words() -> None:
    assert sentence(_fleet(), trouble="refused") == "waiting for the broker: refused"


def test_a_house_in_which_everybody_holds_back_is_held() -> None:
    held = _fleet()
    for name in held.workers:
        held = _with(held, name, holds={"disk": "disk full (/srv: 20 MB free)"})

    assert sentence(held, trouble="refused") == "held: disk full (/srv: 20 MB free)"


def test_a_pool_that_holds_back_is_named_beside_the_others() -> None:
    fleet = _with(
        _fleet(PoolPolicy(name="a"), PoolPolicy(name="b")), "b-1", holds={"op": "by an operator"}
    )

    assert sentence(fleet, trouble="").endswith("broker connected; b held: by an operator")


def test_pools_that_hold_back_for_one_reason_share_its_sentence() -> None:
    fleet = _fleet(PoolPolicy(name="a"), PoolPolicy(name="b"), PoolPolicy(name="c"))
    for worker in ("a-1", "c-1"):
        fleet = _with(fleet, worker, holds={"host": "no ffmpeg"})

    assert sentence(fleet, trouble="").endswith("broker connected; a, c held: no ffmpeg")


def test_a_stop_says_what_it_waits_for() -> None:
    fleet = replace(_with(_fleet(), "download-1", jobs=(JOB,)), stopping=Stopping.DRAINING)

    assert sentence(fleet, trouble="gone") == "stopping: 2 workers to end, 1 job in hand"


# --- how long a stop takes ----------------------------------------------------------------------


def test_a_stop_takes_until_the_last_drain_is_over_and_a_farewell() -> None:
    fleet = _with(_with(_fleet(), "download-1", kill_at=50.0), "download-2", kill_at=80.0)

    assert time_to_stop(fleet, 20.0) == 60.0 + FAREWELL


def test_a_stop_without_a_drain_takes_no_time_of_its_own() -> None:
    late = _with(_fleet(), "download-1", kill_at=50.0)
    dead = _with(_fleet(), "download-1", kill_at=50.0, pid=None)

    assert [time_to_stop(each, 60.0) for each in (_fleet(), late, dead)] == [None] * 3
