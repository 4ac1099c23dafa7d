"""The chaos suite can fail: with one promise broken on purpose, it says so."""

from pathlib import Path

import pytest

from tests.chaos import checker, load
from tests.chaos.evidence import Evidence
from tests.chaos.kinds import Kind
from tests.chaos.load import Share
from tests.chaos.plan import Fault, Planned
from tests.chaos.run import Setup, run
from tests.chaos.sabotaged import ACK_EARLY, HERE, NO_CRASH_LIMIT, SKIP_THE_COPY
from tests.support.rabbitmq import PrivateRabbit

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(90)]

KILLS = tuple(Planned(1.0 + n / 2, Fault.KILL_WORKER, roll=n * 0.37 % 1) for n in range(8))
SETTLING = 3.0  # seconds after which what has no outcome has none for good


@pytest.mark.rabbitmq
@pytest.mark.parametrize(
    ("sabotage", "kind"), [(ACK_EARLY, Kind.SLOW), (SKIP_THE_COPY, Kind.FLAKY)]
)
def test_a_job_that_is_acked_too_early_is_missed(
    sabotage: str, kind: Kind, rabbit: PrivateRabbit, tmp_path: Path
) -> None:
    orders = load.plan(1, Share(jobs=60, seconds=4.0, mix={kind: 1}))
    setup = Setup(
        orders,
        (KILLS,),
        rabbit,
        settling=SETTLING,
        module=(HERE, sabotage),
        is_fair=False,
    )

    assert "nothing is lost" in _broken(run(setup, tmp_path))


def test_a_killer_that_is_never_convicted_is_seen(tmp_path: Path) -> None:
    orders = load.plan(1, Share(jobs=2, seconds=1.0, mix={Kind.KILL: 1}))
    setup = Setup(
        orders,
        max_crashes=1,
        settling=8.0,
        module=(HERE, NO_CRASH_LIMIT),
    )

    assert "poison is bounded" in _broken(run(setup, tmp_path))


def _broken(evidence: Evidence) -> set[str]:
    return {finding.rule for finding in checker.examine(evidence)}
