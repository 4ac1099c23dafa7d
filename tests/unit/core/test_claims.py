"""What becomes of a delivery, by what is known of its job."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.desk import Claim, Condemn, Drop, Later, Run, Verdict
from consumers.jobs import Faults, Properties
from consumers.outcome import Failure
from consumers.topology import pool_queues
from supervisor.core.claims import Wait, judge
from supervisor.core.records import JobState, Known, PoolCard

POOL = PoolCard("download", pool_queues("download_queue"))
OPEN = [state for state in JobState if not state.is_final]


def a_claim(seq: int = 0, attempts: int = 0, job_id: str | None = "j1") -> Claim:
    return Claim(
        queue="download_queue",
        body=b"{}",
        properties=Properties(),
        fingerprint="f",
        job_id=job_id,
        seq=seq,
        attempts=attempts,
    )


def known(state: JobState = JobState.WAITING, **changes: object) -> Known:
    return Known(id="j1", state=state, **changes)  # type: ignore[arg-type]  # by name


def judged(claim: Claim, job: Known | None, *, running_on: str | None = None) -> Verdict | Wait:
    return judge(claim, job, running_on=running_on, pool=POOL, new_id="new")


def test_a_job_seen_for_the_first_time_runs_under_its_own_id() -> None:
    assert judged(a_claim(seq=2, attempts=1), None) == Run("j1", attempts=1, seq=2)


def test_a_job_without_an_id_gets_one() -> None:
    assert judged(a_claim(job_id=None), None) == Run("new")


def test_a_delivery_recognised_by_its_fingerprint_runs_under_the_known_id() -> None:
    assert judged(a_claim(job_id=None), known()) == Run("j1")


def test_a_job_that_runs_on_another_machine_is_waited_for() -> None:
    job = known(JobState.ACTIVE, seq=1, elsewhere="node-b")

    assert judged(a_claim(seq=1), job) == Wait("j1", "node-b", is_elsewhere=True)
    unsure = known(JobState.ACTIVE, seq=1, elsewhere="node-b", confirmed=False)
    assert judged(a_claim(seq=0), unsure) == judged(a_claim(seq=1), job)
    assert judged(a_claim(seq=0), job) == Drop("j1", "stale")


@pytest.mark.parametrize("state", OPEN)
def test_an_open_job_runs_after_the_failures_known_to_either_side(state: JobState) -> None:
    assert judged(a_claim(seq=4, attempts=1), known(state, seq=3, attempts=2)) == Run(
        "j1", attempts=2, seq=4
    )
    assert judged(a_claim(seq=3, attempts=2), known(state, seq=3, attempts=1)) == Run(
        "j1", attempts=2, seq=3
    )


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (JobState.COMPLETED, "settled"),
        (JobState.FAILED, "settled"),
        (JobState.CANCELLED, "cancelled"),
        (JobState.REMOVED, "removed"),
    ],
)
@pytest.mark.parametrize("running_on", [None, "download-1"])
def test_a_job_that_is_over_is_dropped(state: JobState, why: str, running_on: str | None) -> None:
    assert judged(a_claim(), known(state, crashes=9), running_on=running_on) == Drop("j1", why)


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.CANCELLED, JobState.REMOVED])
def test_only_a_failed_job_can_come_back(state: JobState) -> None:
    assert isinstance(judged(a_claim(seq=5), known(state, seq=4)), Drop)


def test_a_replayed_job_runs() -> None:
    failed = known(JobState.FAILED, seq=4, crashes=3)

    assert judged(a_claim(seq=5), failed) == Run("j1", seq=5, alone=True)


def test_a_job_that_runs_here_is_answered_when_that_run_ends() -> None:
    active = known(JobState.ACTIVE, seq=7, crashes=9)

    assert judged(a_claim(), active, running_on="download-2") == Wait("j1", "download-2")


def test_a_copy_older_than_a_confirmed_one_is_stale() -> None:
    assert judged(a_claim(seq=1), known(seq=2, crashes=9)) == Drop("j1", "stale")


def test_a_copy_that_was_never_confirmed_is_made_again_under_a_number_of_its_own() -> None:
    job = known(seq=2, confirmed=False, attempts=1)

    assert judged(a_claim(seq=1), job) == Later(
        "j1", 0.0, 3, attempts=1, why="copy 2 was never confirmed"
    )


def test_a_lost_copy_of_a_suspect_waits_as_suspects_do() -> None:
    job = known(seq=2, confirmed=False, crashes=2)

    verdict = judged(a_claim(seq=1), job)

    assert isinstance(verdict, Later)
    assert verdict.delay == 4.0


def test_an_unconfirmed_copy_that_arrives_was_stored_after_all() -> None:
    assert judged(a_claim(seq=2), known(seq=2, confirmed=False)) == Run("j1", seq=2)


@pytest.mark.parametrize(("crashes", "delay"), [(1, 1.0), (2, 4.0)])
def test_a_suspect_runs_later(crashes: int, delay: float) -> None:
    job = known(crashes=crashes, crash="killed by SIGKILL (9)", seq=1, attempts=1)

    assert judged(a_claim(seq=1), job) == Later(
        "j1", delay, 2, attempts=1, why="its worker died: killed by SIGKILL (9)"
    )


def test_a_replayed_job_has_all_its_attempts_again() -> None:
    failed = known(JobState.FAILED, seq=4, attempts=3)

    assert judged(a_claim(seq=5), failed) == Run("j1", seq=5)


def test_a_suspect_that_has_waited_runs_alone() -> None:
    for charge in ({"crashes": 2}, {"memory_crashes": 1}, {"crash": "in a pool it has left"}):
        job = known(suspect_cleared=True, **charge)

        assert judged(a_claim(), job) == Run("j1", alone=True)


@pytest.mark.parametrize("cleared", [True, False])
@pytest.mark.invariant(5)
def test_at_the_limit_a_job_never_starts_again(cleared: bool) -> None:  # noqa: FBT001 - a case
    job = known(crashes=3, crash="exit code 1", attempts=2, suspect_cleared=cleared)

    verdict = judged(a_claim(), job)

    assert isinstance(verdict, Condemn)
    assert (verdict.job_id, verdict.attempts) == ("j1", 2)
    assert (verdict.failure.code, verdict.failure.permanent) == ("worker_died", True)
    assert verdict.failure.message == (
        "worker died 3 times while running this job, last: exit code 1"
    )


def test_a_limit_of_one_is_said_in_good_english() -> None:
    job = known(crashes=1, crash="exit code 1")

    pool = replace(POOL, max_crashes=1)
    verdict = judge(a_claim(), job, running_on=None, pool=pool, new_id="new")

    assert isinstance(verdict, Condemn)
    assert verdict.failure.message.startswith("worker died once while")


@given(
    state=st.sampled_from(JobState),
    claimed=st.integers(0, 5),
    seq=st.integers(0, 5),
    confirmed=st.booleans(),
    crashes=st.integers(0, 5),
    cleared=st.booleans(),
    running_on=st.none() | st.just("download-1"),
)
def test_a_job_runs_only_if_nothing_speaks_against_it(
    *,
    state: JobState,
    claimed: int,
    seq: int,
    confirmed: bool,
    crashes: int,
    cleared: bool,
    running_on: str | None,
) -> None:
    job = known(state, seq=seq, confirmed=confirmed, crashes=crashes, suspect_cleared=cleared)

    verdict = judged(a_claim(seq=claimed), job, running_on=running_on)

    if isinstance(verdict, Run) and state is not JobState.FAILED:
        assert running_on is None
        assert not state.is_final
        assert claimed >= seq
        assert crashes < 3
        assert crashes == 0 or cleared
        assert verdict.alone == (crashes > 0)
    if isinstance(verdict, Later):
        assert verdict.seq > max(claimed, seq)


def test_a_job_that_was_given_up_is_made_a_dead_letter_again() -> None:
    """Its worker died between the last failure and the dead letter."""
    failure = Failure("no such video", code="not_found", permanent=True)

    verdict = judged(a_claim(), known(JobState.ACTIVE, given_up=failure, attempts=3))

    assert verdict == Condemn("j1", failure, attempts=3)


@pytest.mark.parametrize(("met", "delay"), [(2, 2.0), (3, 4.0), (9, 60.0)])
def test_a_job_that_comes_straight_back_from_the_machines_faults_lets_others_go_first(
    met: int, delay: float
) -> None:
    job = known(seq=3, faults=Faults(met), is_straight_back=True)

    verdict = judged(a_claim(seq=3, attempts=1), job)

    assert isinstance(verdict, Later)
    assert (verdict.delay, verdict.seq, verdict.attempts) == (delay, 4, 1)


@pytest.mark.parametrize(("met", "straight"), [(1, True), (2, False), (9, False)])
def test_a_job_that_met_one_fault_or_has_waited_runs_and_brings_its_record(
    met: int,
    *,
    straight: bool,
) -> None:
    job = known(faults=Faults(met, refuted=1), is_straight_back=straight)

    assert judged(a_claim(), job) == Run("j1", faults=Faults(met, refuted=1))


def test_a_job_replayed_is_believed_anew() -> None:
    job = known(JobState.FAILED, faults=Faults(9, refuted=9), is_straight_back=True)

    assert judged(a_claim(seq=1), job) == Run("j1", seq=1)
