"""A minute of mixed jobs under random faults: nothing lost, nothing runs away, a clean end."""

from pathlib import Path

import pytest

from tests.chaos import checker, load, plan
from tests.chaos.evidence import Evidence
from tests.chaos.load import Share
from tests.chaos.run import Setup, run
from tests.support.rabbitmq import PrivateRabbit

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SEED = 7
SECONDS = 65.0  # of faults
SHORTER = 36.0  # without a broker there are fewer kinds of them


@pytest.mark.rabbitmq
def test_nothing_is_lost_and_nothing_runs_away_on_rabbitmq(
    rabbit: PrivateRabbit, tmp_path: Path
) -> None:
    tracks = (
        plan.plan(SEED, SECONDS, plan.PROCESSES),
        plan.plan(SEED, SECONDS, plan.CONNECTIONS),
    )
    orders = load.plan(SEED, Share(3000, SECONDS - 12, killers=5, hangers=2))

    evidence = run(Setup(orders, tracks, rabbit), tmp_path)

    _is_well(evidence)


def test_nothing_is_lost_and_nothing_runs_away_in_embedded_queues(tmp_path: Path) -> None:
    share = Share(1000, SHORTER - 5, killers=5, hangers=2, has_garbage=False)
    tracks = (plan.plan(SEED, SHORTER, plan.PROCESSES),)

    evidence = run(Setup(load.plan(SEED, share), tracks), tmp_path)

    _is_well(evidence)


@pytest.mark.rabbitmq
def test_without_faults_no_job_is_done_twice(rabbit: PrivateRabbit, tmp_path: Path) -> None:
    orders = load.plan(SEED, Share(jobs=150, seconds=2.5))

    evidence = run(Setup(orders, broker=rabbit), tmp_path)

    assert evidence.duplicates() == {}
    _is_well(evidence)


def _is_well(evidence: Evidence) -> None:
    findings = "\n".join(str(finding) for finding in checker.examine(evidence))
    faults = "\n".join(evidence.faults)
    assert not findings, f"{findings}\n\nwhat was done to it:\n{faults}"
