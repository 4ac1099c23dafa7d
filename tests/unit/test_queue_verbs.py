"""The verbs for queues: what they ask of a supervisor, what they say, when they ask first."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.cli.main import cli
from supervisor.core.records import JobState
from supervisor.desks.queues import RetryOrder
from tests.support.control import FakeControl
from tests.support.house import running
from tests.support.queue_desks import FakeQueues


@pytest.fixture
def queues(tmp_path: Path) -> Iterator[FakeQueues]:
    (tmp_path / "supervisor.yaml").write_text(
        f"broker: embedded\nstate: {tmp_path}/s\n"
        "workers:\n  cutter: {queue: cutter_queue, processor: workers.cutter}\n"
    )
    control = FakeControl()
    with running(control, tmp_path / "s" / "supervisor.sock"):
        yield control.queues


def call(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["-c", str(folder / "supervisor.yaml"), *words])


def test_a_pool_is_paused_with_a_reason_and_resumed(queues: FakeQueues, tmp_path: Path) -> None:
    paused = call(tmp_path, "pause", "cutter", "--why", "blunt")
    resumed = call(tmp_path, "resume", "cutter")

    assert paused.output == "cutter: cutter_queue is paused: blunt\n"
    assert resumed.output == "cutter: cutter_queue is consumed\n"


def test_all_pools_are_paused_when_that_is_said(queues: FakeQueues, tmp_path: Path) -> None:
    done = call(tmp_path, "pause", "--all", "--json")

    assert [each["paused"] for each in json.loads(done.output)] == [True] * 3
    assert call(tmp_path, "resume", "--all").exit_code == 0
    assert queues.paused == {}


@pytest.mark.parametrize("words", [("pause",), ("pause", "cutter", "--all"), ("resume",)])
def test_one_pool_is_named_or_all_are_meant(
    queues: FakeQueues, tmp_path: Path, words: tuple[str, ...]
) -> None:
    refused = call(tmp_path, *words)

    assert refused.exit_code == 2
    assert "name one POOL, or say --all" in refused.output
    assert queues.paused == {}


def test_a_drain_asks_first_and_says_what_is_gone(queues: FakeQueues, tmp_path: Path) -> None:
    refused = call(tmp_path, "drain", "cutter")
    done = call(tmp_path, "drain", "cutter", "--delayed", "--yes")

    assert refused.exit_code == 2
    assert "needs --yes" in refused.output
    assert queues.drained == [("cutter", True)]
    assert done.output == (
        "cutter_queue: 7 messages thrown away, 5 jobs of the ledger are removed\n"
    )


def test_a_drain_without_a_broker_has_its_own_exit_code(queues: FakeQueues, tmp_path: Path) -> None:
    queues.away = "cutter_queue: nothing was removed, the broker is away; try again"

    done = call(tmp_path, "drain", "cutter", "--yes")

    assert (done.exit_code, done.output) == (3, f"Error: {queues.away}\n")


def test_a_clean_goes_on_until_its_limit_or_until_nothing_is_left(
    queues: FakeQueues, tmp_path: Path
) -> None:
    words = ("clean", "cutter", "--state", "completed", "--older", "90d")
    refused = call(tmp_path, *words)
    some = call(tmp_path, *words, "--limit", "3000", "--yes")
    rest = call(tmp_path, *words, "--limit", "9000", "--yes", "--json")

    assert refused.exit_code == 2
    assert some.output == "cutter_queue: 3000 completed jobs are gone for good\n"
    assert json.loads(rest.output)["jobs"] == 2000
    orders = [order for _, order in queues.cleaned]
    assert [order.limit for order in orders[:2]] == [2000, 1000]
    assert {(order.state, order.age) for order in orders} == {(JobState.COMPLETED, 90 * 86_400.0)}


@pytest.mark.parametrize(
    ("finished", "kept", "said"),
    [
        (0, 2_500, "0 completed jobs are gone for good; 2,500 stay, until their chain is over"),
        (1, 1, "1 completed job is gone for good; 1 stays, until"),
    ],
)
def test_a_clean_says_how_many_jobs_their_chains_keep(
    queues: FakeQueues, tmp_path: Path, finished: int, kept: int, said: str
) -> None:
    queues.finished, queues.kept = finished, kept

    done = call(tmp_path, "clean", "cutter", "--state", "completed", "--yes")

    assert f"cutter_queue: {said}" in done.output


def test_failed_jobs_run_again_at_a_rate(queues: FakeQueues, tmp_path: Path) -> None:
    done = call(tmp_path, "retry-failed", "cutter", "--newer", "2h", "--rate", "120/min")

    assert queues.retried == [("cutter", RetryOrder(newer=7200.0, rate=2.0, limit=2000))]
    assert done.output.startswith("cutter_queue: 3 failed jobs run again, the last of them in ")


def test_many_failed_jobs_are_asked_for_in_parts_at_one_rate(
    queues: FakeQueues, tmp_path: Path
) -> None:
    queues.failed = 4500
    words = ("retry-failed", "cutter", "--rate", "100/s", "--older", "0s", "--group", "g")

    done = call(tmp_path, *words, "--limit", "4100", "--json")

    orders = [order for _, order in queues.retried]
    assert [(order.limit, order.after) for order in orders] == [(2000, 0), (2000, 20), (100, 40)]
    assert {order.group for order in orders} == {"g"}
    assert (orders[1].older or 0) > 0  # what fails once more meanwhile is not taken again
    assert (json.loads(done.output)["jobs"], json.loads(done.output)["seconds"]) == (4100, 40.99)


def test_a_group_is_refused_if_there_is_none_and_not_if_the_part_before_emptied_it(
    queues: FakeQueues, tmp_path: Path
) -> None:
    queues.failed = 2000
    words = ("retry-failed", "cutter", "--group", "g")

    done, again = call(tmp_path, *words), call(tmp_path, *words)

    assert done.output.startswith("cutter_queue: 2000 failed jobs run again")
    assert (again.exit_code, "no dead letter is of a group 'g'" in again.output) == (1, True)


@pytest.mark.parametrize("words", [("drain",), ("clean", "--state", "failed")])
def test_nobody_is_asked_about_a_pool_that_there_is_not(
    queues: FakeQueues, tmp_path: Path, words: tuple[str, ...]
) -> None:
    refused = call(tmp_path, *words, "nope")

    assert (refused.exit_code, refused.output) == (1, "Error: no pool 'nope'\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("retry-failed", "cutter", "--rate", "fast"), "--rate: must be so many"),
        (("retry-failed", "cutter", "--newer", "soon"), "--newer: must be a time"),
        (("clean", "cutter", "--state", "active"), "'active' is not one of"),
        (("clean", "cutter"), "--state"),
    ],
)
def test_a_slip_of_the_pen_is_named(
    queues: FakeQueues, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    refused = call(tmp_path, *words)

    assert refused.exit_code == 2
    assert says in refused.output


def test_queues_are_shown_all_together_or_one_by_its_states(
    queues: FakeQueues, tmp_path: Path
) -> None:
    queues.paused["cutter"] = "blunt"

    everything = call(tmp_path, "queues").output
    one = call(tmp_path, "queues", "cutter").output
    unknown = call(tmp_path, "queues", "nobody")

    assert "download_queue" in everything
    assert "paused" in everything
    lines = {line.split("  ")[0].strip(): line.split()[-1] for line in one.splitlines() if line}
    assert (lines["waiting"], lines["paused"], lines["ready"]) == ("2", "blunt", "2")
    assert unknown.exit_code == 1
    assert "no pool 'nobody'" in unknown.output
