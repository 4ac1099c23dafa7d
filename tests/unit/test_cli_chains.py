"""The command line and the jobs that came of one: counted, cancelled, removed, waited for."""

import json
from pathlib import Path

import msgspec
import pytest

from consumers.jobs import Priority
from consumers.outcome import Failure
from supervisor.cli import waiting
from supervisor.core.records import Chain, Family, JobRecord, JobState, Relative
from tests.support.control import FakeControl
from tests.support.terminals import call, config, control, house

__all__ = ["config", "control", "house"]

ROOT = Relative("download_queue", "film")
FILM = JobRecord(
    "film", "download", "download_queue", JobState.COMPLETED, Priority.NORMAL, {}, root=ROOT
)


def enter(house: FakeControl, *states: JobState) -> None:
    """Enter a completed job, and one in each of these states that came of it."""
    house.known["film"] = FILM
    for number, state in enumerate(states):
        piece = {"id": f"p{number}", "pool": "cutter", "queue": "cutter_queue", "state": state}
        job = msgspec.structs.replace(FILM, parent=ROOT, **piece)
        if state is JobState.FAILED:
            job = msgspec.structs.replace(job, error=Failure("moov atom not found"))
        house.known[job.id] = job


def test_who_removes_a_job_is_asked_with_the_number_of_those_that_came_of_it(
    house: FakeControl, config: Path
) -> None:
    enter(house, *[JobState.COMPLETED] * 1234, JobState.REMOVED)

    unsure = call(config, "remove", "film")
    both = call(config, "remove", "film", "p0")
    sure = call(config, "remove", "film", "--yes")

    assert (unsure.exit_code, both.exit_code) == (2, 2)
    assert "to remove 1 job and the 1,234 that came of it for good needs --yes" in unsure.output
    assert "to remove 2 jobs and the 1,234 that came of them for good" in both.output
    words = "job film is removed, in download_queue, with the 1,234 jobs that came of it\n"
    assert (sure.exit_code, sure.output) == (0, words)


def test_of_a_job_of_which_nothing_came_no_number_is_said(house: FakeControl, config: Path) -> None:
    enter(house)

    assert "to remove 1 job for good needs" in call(config, "remove", "film").output
    done = call(config, "remove", "film", "--yes")
    assert done.output == "job film is removed, in download_queue\n"


def test_cancelling_a_completed_job_says_how_many_that_came_of_it_are_cancelled(
    house: FakeControl, config: Path
) -> None:
    enter(house, JobState.COMPLETED, JobState.WAITING, JobState.ACTIVE, JobState.CANCELLED)

    first, second = (call(config, "cancel", "film").output for _ in range(2))

    where = "job film is completed, in download_queue; "
    assert first == f"{where}2 jobs that came of it are cancelled\n"
    assert second == f"{where}nothing that came of it was left to cancel\n"


def test_a_completed_job_that_cannot_be_retried_points_to_those_below_it_that_can(
    house: FakeControl, config: Path
) -> None:
    enter(house, JobState.FAILED, JobState.CANCELLED, JobState.CANCELLED, JobState.COMPLETED)

    refused = call(config, "retry", "film")

    assert refused.exit_code == 1
    assert "of what came of it can be retried: 1 failed and 2 cancelled" in refused.output
    assert "jobs --root film --state cancelled" in refused.output


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (JobState.COMPLETED, "2 of 2 completed"),
        (JobState.FAILED, "1 of 2 completed, 1 failed"),
        (JobState.CANCELLED, "1 of 2 completed, 1 cancelled"),
    ],
)
def test_waiting_ends_with_all_that_came_of_the_job_and_says_whether_it_went_well(
    house: FakeControl,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: JobState,
    said: str,
) -> None:
    enter(house, JobState.ACTIVE)
    looks: list[bool] = []
    family = house.family

    async def looked(job_id: str, *, limit: int) -> Family:
        """Show the chain as it is, and end it after the first look."""
        found = await family(job_id, limit=limit)
        looks.append(found.chain.is_open)
        house.known["p0"] = msgspec.structs.replace(house.known["p0"], state=end)
        return found

    monkeypatch.setattr(house, "family", looked)
    monkeypatch.setattr(waiting, "_LOOK", 0.0)
    order = ("publish", "download", "--data", "{}", "--id", "film", "--wait")
    done = call(config, *order)
    shown = json.loads(call(config, *order, "--json").output)

    assert done.exit_code == (end is not JobState.COMPLETED)
    assert said in done.output
    assert looks[:2] == [True, False]
    ended = {JobState.COMPLETED: 1, end: 1} if done.exit_code else {JobState.COMPLETED: 2}
    assert msgspec.convert(shown["family"], Family).chain == Chain(ended, is_open=False)
