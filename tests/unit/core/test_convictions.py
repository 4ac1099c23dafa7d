"""When a job that takes workers down may not run again, where it goes, and in which words."""

import re
from dataclasses import replace

import pytest

from consumers.desk import Claim, Condemn, Drop, Later, Move, Run
from consumers.jobs import Properties
from consumers.outcome import Failure
from consumers.topology import pool_queues
from supervisor.cli.letter_verbs import dlq
from supervisor.core.claims import judge
from supervisor.core.convictions import convict
from supervisor.core.records import Charge, JobState, Known, PoolCard

POOL = PoolCard("small", pool_queues("clips"), timeout=900.0)
LARGE = PoolCard("large", pool_queues("large_clips"))
LARGEST = PoolCard("largest", pool_queues("largest_clips"))
TOO_BIG = "uses 812 MB, allowed are 768 MB"


def known(**changes: object) -> Known:
    return Known(id="j1", state=JobState.WAITING, **changes)  # type: ignore[arg-type]  # by name


def hungry(times: int = 1, **changes: object) -> Known:
    facts = {"crash": TOO_BIG, "charge": Charge.MEMORY} | changes
    return known(memory_crashes=times, **facts)


def claim(seq: int = 0) -> Claim:
    return Claim("clips", b"{}", Properties(), "f", job_id="j1", seq=seq)


def judged(job: Known, pool: PoolCard, *, seq: int = 0) -> object:
    return judge(claim(seq), job, running_on=None, pool=pool, new_id="new")


@pytest.mark.parametrize(
    ("job", "code", "message"),
    [
        (
            known(crashes=3, crash="exit code 1"),
            "worker_died",
            "worker died 3 times while running this job, last: exit code 1",
        ),
        (known(crashes=3, timeouts=3), "timeout", "ran longer than 15 m, 3 times"),
        (
            hungry(3),
            "out_of_memory",
            f"its worker needed too much memory 3 times, last: {TOO_BIG}",
        ),
        (
            hungry(1, crashes=2, timeouts=1),
            "worker_died",
            "worker died once while running this job, ran longer than 15 m once, "
            f"its worker needed too much memory once, last: {TOO_BIG}",
        ),
        (
            hungry(1, crashes=2, timeouts=2),
            "worker_died",
            "ran longer than 15 m 2 times, its worker needed too much memory once, "
            f"last: {TOO_BIG}",
        ),
    ],
    ids=["crashes", "timeouts", "memory", "all of them", "no crash by itself"],
)
def test_a_dead_letter_says_what_its_workers_died_of(job: Known, code: str, message: str) -> None:
    failure = convict(job, POOL)

    assert failure is not None
    assert (failure.code, failure.message, failure.permanent) == (code, message, True)


def test_the_hint_for_memory_names_what_to_set() -> None:
    failure = convict(hungry(3), POOL)

    assert failure is not None
    assert "memory:" in failure.hint
    assert "on_memory:" in failure.hint


@pytest.mark.parametrize(
    "job",
    [known(crashes=3), known(crashes=3, timeouts=3), hungry(3)],
    ids=["crashes", "timeouts", "memory"],
)
def test_a_hint_sends_nobody_to_a_command_that_is_not_there(job: Known) -> None:
    failure = convict(job, POOL)

    assert failure is not None
    named = re.findall(r"`dlq (\w+)`", failure.hint)
    assert "retry" in named
    assert set(named) <= set(dlq.commands)


@pytest.mark.parametrize(
    ("seconds", "words"), [(7200.0, "2 h"), (60.0, "1 m"), (90.0, "90 s"), (0.5, "0.5 s")]
)
def test_a_timeout_is_said_as_it_was_configured(seconds: float, words: str) -> None:
    pool = replace(POOL, timeout=seconds, max_crashes=1)
    failure = convict(known(crashes=1, timeouts=1), pool)

    assert failure is not None
    assert failure.message == f"ran longer than {words}, once"


def test_one_limit_is_for_all_deaths_together() -> None:
    assert convict(hungry(1, crashes=1), POOL) is None
    assert convict(hungry(1, crashes=2), POOL) is not None


def test_nobody_is_convicted_by_a_death_that_others_may_have_caused() -> None:
    strict = replace(POOL, max_crashes=1, dead_by_memory=True)

    assert convict(known(crashes=1, is_shared=True), strict) is None
    assert convict(hungry(1, is_shared=True), strict) is None
    assert judged(known(crashes=1, is_shared=True, suspect_cleared=True), strict) == Run(
        "j1", alone=True
    )


# --- on_memory ---------------------------------------------------------------------------------


def test_without_more_ado_a_death_for_memory_is_like_a_crash() -> None:
    verdict = judged(hungry(2), POOL)

    assert isinstance(verdict, Later)
    assert verdict.delay == 4.0


def test_where_memory_is_fatal_one_such_death_is_enough() -> None:
    verdict = judged(hungry(), replace(POOL, dead_by_memory=True))

    assert isinstance(verdict, Condemn)
    assert verdict.failure.code == "out_of_memory"
    assert verdict.failure.message.startswith("its worker needed too much memory once")


def test_where_memory_is_fatal_a_crash_is_not() -> None:
    job = known(crashes=1, memory_crashes=1, charge=Charge.CRASH)

    assert isinstance(judged(job, replace(POOL, dead_by_memory=True)), Later)


def test_a_job_too_large_for_its_pool_moves_to_the_roomier_one() -> None:
    pool = replace(POOL, roomier=LARGE, max_crashes=1)

    assert judged(hungry(seq=2, attempts=1), pool, seq=2) == Move(
        "j1", "large", "large_clips.priority", 3, attempts=1, why=TOO_BIG
    )


def test_a_death_that_others_shared_moves_nobody() -> None:
    assert isinstance(judged(hungry(is_shared=True), replace(POOL, roomier=LARGE)), Later)


def test_in_the_roomier_pool_a_moved_job_runs_alone_at_once() -> None:
    moved = known(moved_to="large", seq=1, crash=TOO_BIG)

    assert judged(moved, LARGE, seq=1) == Run("j1", seq=1, alone=True)


def test_a_moved_job_met_in_its_old_pool_is_moved_again() -> None:
    """Its copy was never stored, or a parked one came back by the queue it is known by."""
    chain = replace(POOL, roomier=replace(LARGE, roomier=LARGEST))
    moved = known(moved_to="largest", seq=2, crash=TOO_BIG, confirmed=False)

    for seq in (1, 2):
        verdict = judged(moved, chain, seq=seq)
        assert isinstance(verdict, Move)
        assert (verdict.pool, verdict.lane, verdict.seq) == (
            "largest", "largest_clips.priority", 3,
        )  # fmt: skip


def test_the_original_of_a_moved_job_is_stale() -> None:
    moved = known(moved_to="large", seq=1)

    assert judged(moved, replace(POOL, roomier=LARGE)) == Drop("j1", "stale")


def test_a_moved_job_whose_new_pool_is_configured_no_more_runs_where_it_is_met() -> None:
    moved = known(moved_to="large", seq=1, crash=TOO_BIG)

    assert judged(moved, POOL, seq=1) == Run("j1", seq=1, alone=True)


def test_a_moved_job_that_was_given_up_is_a_dead_letter_and_moves_no_more() -> None:
    gone = Failure("no such video", code="not_found", permanent=True)
    moved = known(moved_to="large", seq=1, given_up=gone)

    assert judged(moved, replace(POOL, roomier=LARGE), seq=1) == Condemn("j1", gone)
