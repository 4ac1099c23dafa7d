"""What becomes of outcomes that a killed supervisor had not written down."""

from datetime import UTC, datetime

import msgspec
import pytest

from consumers.desk import Claim, Run
from consumers.jobs import Properties
from consumers.outcome import Failure
from supervisor.core.records import JobState, Known
from supervisor.salvage import Fate, judge
from workers.messages import JobResult, ResultPayload
from workers.spool import HandedIn

RESULT = JobResult(
    worker_id="toy-1",
    timestamp=datetime(2026, 11, 1, tzinfo=UTC),
    queue_name="toy_queue",
    payload=ResultPayload(()),
    call=1,
    job_id="j1",
    result={},
    duration=0.5,
)
CLAIM = Claim("toy_queue", b"{}", Properties(), "f1")
NAMED = msgspec.structs.replace(CLAIM, job_id="j1")
EMBEDDED = msgspec.structs.replace(CLAIM, tag=7)
WAITING = Known("j1", JobState.WAITING, seq=1, attempts=2)


def fate(claim: Claim, known: Known | None, *, is_shared: bool = False) -> Fate:
    return judge(HandedIn(claim, Run("j1", attempts=2, seq=1), RESULT), known, is_shared=is_shared)


@pytest.mark.parametrize("claim", [CLAIM, NAMED, EMBEDDED])
def test_of_a_job_that_waits_again_it_is_recorded(claim: Claim) -> None:
    assert fate(claim, WAITING) is Fate.RECORD


def test_where_machines_share_a_ledger_only_an_id_tells_whose_message_it_is() -> None:
    assert fate(NAMED, WAITING, is_shared=True) is Fate.RECORD
    assert fate(CLAIM, WAITING, is_shared=True) is Fate.NOTHING
    assert fate(CLAIM, None, is_shared=True) is Fate.NOTHING


def test_a_job_that_was_not_written_down_yet_is_recorded_with_it() -> None:
    assert fate(CLAIM, None) is Fate.RECORD


def test_where_machines_share_a_ledger_an_unknown_job_may_be_anothers() -> None:
    assert fate(NAMED, None, is_shared=True) is Fate.NOTHING


def test_a_message_of_the_embedded_queues_has_to_be_known() -> None:
    assert fate(EMBEDDED, None) is Fate.NOTHING


@pytest.mark.parametrize(
    "known",
    [
        msgspec.structs.replace(WAITING, seq=2),
        msgspec.structs.replace(WAITING, seq=0),
        msgspec.structs.replace(WAITING, attempts=3),
        msgspec.structs.replace(WAITING, given_up=Failure("it broke")),
    ],
    ids=["a newer copy", "an older ledger", "a newer attempt", "given up"],
)
@pytest.mark.parametrize("state", [JobState.WAITING, JobState.COMPLETED])
def test_a_run_that_is_not_the_newest_changes_nothing(known: Known, state: JobState) -> None:
    assert fate(CLAIM, msgspec.structs.replace(known, state=state)) is Fate.NOTHING


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.CANCELLED])
def test_the_message_of_a_recorded_job_is_expected_if_it_has_no_id(state: JobState) -> None:
    known = msgspec.structs.replace(WAITING, state=state)

    assert fate(CLAIM, known) is Fate.EXPECT
    assert fate(NAMED, known) is Fate.NOTHING
    assert fate(EMBEDDED, known) is Fate.NOTHING


@pytest.mark.parametrize(
    "state",
    [
        state
        for state in JobState
        if state not in {JobState.WAITING, JobState.COMPLETED, JobState.CANCELLED}
    ],
)
def test_in_any_other_state_the_ledger_knows_better(state: JobState) -> None:
    assert fate(CLAIM, msgspec.structs.replace(WAITING, state=state)) is Fate.NOTHING
