"""Jobs of each processor, struck at random instants; the long form is ``make interruptions``."""

from pathlib import Path

import pytest

from tests.media.interruptions import rules
from tests.media.interruptions.cases import furnish
from tests.media.interruptions.plan import plan
from tests.media.interruptions.rig import Rig
from tests.support.media_server import MediaServer

ROOT = Path(__file__).parents[2]
SEED = 12
pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


@pytest.mark.invariant(14)
@pytest.mark.parametrize(("processor", "runs"), [("download", 4), ("cutter", 6), ("preview", 6)])
async def test_an_interrupted_job_leaves_nothing_half_and_is_done_once_when_it_comes_again(
    processor: str,
    runs: int,
    site: MediaServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))  # new processes import the worker from there
    furnish(site)

    async with Rig(tmp_path, site).open() as rig:
        bouts = [await rig.bout(case, blow) for case, blow in plan(processor, runs, SEED)]

    assert {(bout.case.name, bout.blow): rules.broken(bout) for bout in bouts} == {
        (bout.case.name, bout.blow): [] for bout in bouts
    }
