"""Workers in trouble with a broker that is there: one line a reason, none about a real outage."""

from collections.abc import AsyncIterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from supervisor.core.fleet import Fleet, Worker
from supervisor.core.lifecycle import WorkerState
from supervisor.cutoffs import GATHER, CutOffs
from tests.support.clocks import FakeClock, settle
from workers.messages import CONNECTING

GONE = "clips: consumer cancelled by the broker"


@dataclass
class Reach:
    """The coordinator's own session."""

    is_connected: bool = True
    outages: int = 0


@dataclass
class Stage:
    """A fleet of three workers, and the lines about them."""

    reach: Reach
    clock: FakeClock
    cut_offs: CutOffs
    lines: list[MutableMapping[str, Any]] = field(default_factory=list)

    def say(self, troubles: Mapping[str, str]) -> None:
        workers = {
            name: Worker(
                id=name,
                pool="clips",
                state=WorkerState.IDLE,
                pid=1,
                broker=troubles.get(name, ""),
            )
            for name in ("clips-1", "clips-2", "clips-3")
        }
        self.cut_offs.see(Fleet(workers=workers))

    async def told(self) -> list[tuple[str, object]]:
        await settle()
        await self.clock.move(GATHER)
        return [(line["event"], line["workers"]) for line in self.lines]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    reach, clock = Reach(), FakeClock()
    made = Stage(reach, clock, CutOffs(reach, clock))
    with capture_logs() as lines:
        made.lines = lines
        yield made
    await made.cut_offs.close()


TROUBLE = "workers have trouble with the broker"
WELL = "workers are well with the broker again"


async def test_the_same_trouble_of_several_workers_is_one_line(stage: Stage) -> None:
    stage.say({"clips-1": GONE})
    stage.say({"clips-1": GONE, "clips-3": GONE})

    assert await stage.told() == [(TROUBLE, ["clips-1", "clips-3"])]
    assert stage.lines[0]["why"] == GONE


async def test_trouble_that_is_over_already_is_told_all_the_same(stage: Stage) -> None:
    stage.say({"clips-1": GONE})
    stage.say({})

    assert await stage.told() == [(TROUBLE, ["clips-1"]), (WELL, ["clips-1"])]


async def test_trouble_is_told_once_and_so_is_its_end(stage: Stage) -> None:
    stage.say({"clips-1": GONE})
    await stage.told()
    stage.say({"clips-1": GONE})
    await stage.told()
    stage.say({})
    stage.say({})

    assert await stage.told() == [(TROUBLE, ["clips-1"]), (WELL, ["clips-1"])]


async def test_while_the_broker_is_away_for_all_nothing_is_said_of_each(stage: Stage) -> None:
    stage.say({"clips-1": "connection reset"})
    stage.reach.is_connected, stage.reach.outages = False, 1
    stage.say({"clips-1": "connection refused", "clips-2": "connection refused"})
    stage.reach.is_connected = True
    assert await stage.told() == []

    stage.say({"clips-2": "connection refused"})

    assert await stage.told() == []


async def test_who_connects_for_the_first_time_is_in_no_trouble(stage: Stage) -> None:
    stage.say({"clips-1": CONNECTING})

    assert await stage.told() == []
