"""The short soak: after many kills the coordinator is what it was."""

from pathlib import Path

import pytest

from tests.chaos import checker, steadiness
from tests.chaos.soak import soak, table
from tests.chaos.steadiness import Limits

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

# Over less than a minute, of which a busy machine takes ten seconds to start the workers.
LIMITS = Limits(growth=12_000_000, warm_up=0.6)


def test_a_coordinator_that_saw_many_kills_has_not_grown(tmp_path: Path) -> None:
    evidence, samples = soak(22.0, 20, tmp_path, seed=3)

    print(table(samples))  # noqa: T201
    assert checker.examine(evidence) == ()
    assert steadiness.examine(samples, LIMITS) == ()
