"""The watch over the machine: holds are placed and lifted once, and told."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest

from supervisor import conditions
from supervisor.conditions import Conditions, Surroundings
from supervisor.core.conditions import MEDIA_DISK, MEMORY, Limits
from supervisor.core.fleet import Fleet, PoolPolicy, Worker
from supervisor.core.lifecycle import WorkerState
from supervisor.core.readiness import MOMENT, PARKING, Parking
from supervisor.core.troubles import Fault, Trouble
from supervisor.gauges import available_memory
from supervisor.ledger.store import Ledger
from supervisor.ports import BrokerView
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.offices import Listener

FULL = Trouble(Fault.FULL, "ledger.db: full; make room")


@dataclass
class Gates:
    """Workers that remember what they were told."""

    diary: list[str] = field(default_factory=list)

    def hold(self, pool: str | None, name: str, why: str) -> None:
        self.diary.append(f"hold {name}")

    def release(self, pool: str | None, name: str) -> None:
        self.diary.append(f"release {name}")


@dataclass
class Watch:
    """Conditions with all that is around them."""

    conditions: Conditions
    gates: Gates
    ledger: Ledger
    bulletin: Listener
    clock: FakeClock
    fleet: Fleet
    broker: BrokerView = field(default_factory=lambda: BrokerView("amqp://here", connected=True))
    parking: Parking = field(default_factory=Parking)

    @property
    def told(self) -> Sequence[tuple[str, object, object]]:
        return [(e.name, e.data["pool"], e.data["hold"]) for e in self.bulletin.events]

    @property
    def reasons(self) -> Sequence[str]:
        return [each.name for each in self.conditions.now()]

    async def look(self, seconds: float = 2.0) -> None:
        """Let some time pass and have a look."""
        await self.clock.move(seconds)
        await self.conditions.look()
        await self.ledger.write(lambda _: None)  # behind a probe, if there was one
        await settle()


@pytest.fixture
async def watch(tmp_path: Path) -> AsyncIterator[Watch]:
    clock, gates, bulletin = FakeClock(), Gates(), Listener()
    ledger = await Ledger.open(f"sqlite:///{tmp_path}/ledger.db", clock=clock)
    pools = MappingProxyType({name: PoolPolicy(name=name) for name in ("a", "b")})
    idle = [Worker(id=f"{p}-1", pool=p, state=WorkerState.IDLE, consuming=True) for p in pools]
    fleet = Fleet(pools, MappingProxyType({worker.id: worker for worker in idle}))
    folders = {MEDIA_DISK: tmp_path / "media"}
    around = Surroundings(
        ledger,
        gates,
        bulletin,
        lambda: opened.fleet,
        lambda: opened.broker,
        lambda: opened.parking,
    )
    watching = Conditions(Limits(disk=1), folders, around, clock)
    opened = Watch(watching, gates, ledger, bulletin, clock, fleet)
    yield opened
    await ledger.close()


async def test_a_folder_that_cannot_be_looked_at_holds_everybody_until_it_can(
    watch: Watch, tmp_path: Path
) -> None:
    await watch.look()
    await watch.look()
    (reason,) = watch.conditions.now()
    assert (reason.name, reason.seconds) == (MEDIA_DISK, 2.0)
    assert "cannot be looked at (No such file or directory)" in reason.why

    (tmp_path / "media").mkdir()
    await watch.look()

    assert watch.gates.diary == [f"hold {MEDIA_DISK}", f"release {MEDIA_DISK}"]
    assert watch.reasons == []
    assert sorted(watch.told) == [
        ("pool.held", "a", MEDIA_DISK),
        ("pool.held", "b", MEDIA_DISK),
        ("pool.resumed", "a", MEDIA_DISK),
        ("pool.resumed", "b", MEDIA_DISK),
    ]


async def test_too_little_memory_holds_everybody_until_there_is_a_fifth_more(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tmp_path / "meminfo"
    monkeypatch.setattr(conditions, "available_memory", partial(available_memory, kernel))
    watch.conditions._limits = Limits(memory=1000 * 1024)
    diary = {}

    for kilobytes in (1100, 999, 1199, 1201):
        kernel.write_text(f"MemAvailable: {kilobytes} kB\n")
        await watch.look()
        diary[kilobytes] = (list(watch.gates.diary), watch.reasons)

    held, lifted = [f"hold {MEMORY}"], [f"hold {MEMORY}", f"release {MEMORY}"]
    assert diary == {
        1100: ([], []),
        999: (held, [MEMORY]),
        1199: (held, [MEMORY]),
        1201: (lifted, []),
    }


async def test_a_ledger_in_trouble_holds_at_once_and_is_well_after_two_probes(
    watch: Watch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "media").mkdir()
    for _ in range(5):
        watch.ledger.troubles.refused(FULL)
    assert watch.gates.diary == ["hold ledger"]

    await watch.look()
    watch.ledger.troubles.refused(FULL)
    await watch.look()
    assert watch.reasons == ["ledger"]
    await watch.look()

    assert watch.reasons == []
    assert watch.gates.diary == ["hold ledger", "release ledger"]
    said = capsys.readouterr()
    assert (said.out + said.err).count("ledger.db: full") == 1


async def test_a_ledger_whose_disk_hangs_holds_until_it_answers(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "media").mkdir()
    monkeypatch.setattr(conditions, "SILENT", 0.05)
    disk = threading.Event()
    hanging = watch.ledger.write(lambda _: disk.wait(WITHIN))
    async with asyncio.timeout(WITHIN):
        while watch.ledger.unwritten <= 0.05:  # noqa: ASYNC110 - the loop's own time passes
            await asyncio.sleep(0)
    await watch.conditions.look()
    assert watch.reasons == ["ledger"]
    disk.set()

    await asyncio.wait_for(hanging, WITHIN)
    await watch.look()

    assert watch.gates.diary == ["hold ledger", "release ledger"]


async def test_damage_holds_until_a_person_acts(watch: Watch) -> None:
    watch.ledger.troubles.refused(Trouble(Fault.DAMAGED, "malformed"))
    watch.ledger.troubles.refused(FULL)
    for _ in range(3):
        await watch.look()

    assert watch.ledger.troubles.now == Trouble(Fault.DAMAGED, "malformed")
    assert "ledger" in watch.reasons


async def test_another_fault_is_another_reason(watch: Watch) -> None:
    watch.ledger.troubles.refused(FULL)
    watch.ledger.troubles.refused(Trouble(Fault.BUSY, "locked"))

    (reason,) = watch.conditions.now()
    assert reason.why == "locked"


async def test_a_hold_that_a_worker_placed_is_told_of_its_pool(
    watch: Watch, tmp_path: Path
) -> None:
    (tmp_path / "media").mkdir()
    whole = watch.fleet
    watch.fleet = whole.with_worker(replace(whole.workers["b-1"], holds={"ffmpeg": "missing"}))
    await watch.look()
    watch.fleet = whole
    await watch.look()

    assert watch.told == [("pool.held", "b", "ffmpeg"), ("pool.resumed", "b", "ffmpeg")]
    assert watch.gates.diary == []


async def test_it_is_known_for_how_long_nobody_has_served_a_pool(
    watch: Watch, tmp_path: Path
) -> None:
    (tmp_path / "media").mkdir()
    watch.fleet = watch.fleet.with_worker(replace(watch.fleet.workers["a-1"], consuming=False))
    await watch.look()
    await watch.look()
    await watch.clock.move(1.0)

    (reason,) = watch.conditions.now()
    assert (reason.name, reason.pool, reason.seconds) == ("no worker", "a", 3.0)


async def test_jobs_that_cannot_be_parked_are_a_reason_when_it_lasts_and_until_it_is_over(
    watch: Watch, tmp_path: Path
) -> None:
    (tmp_path / "media").mkdir()
    watch.parking = Parking(is_open=False, why="no answer")
    await watch.look()
    await watch.look(MOMENT)
    assert watch.reasons == []
    await watch.look()
    (reason,) = watch.conditions.now()
    assert (reason.name, reason.seconds) == (PARKING, MOMENT + 2.0)

    watch.parking = Parking()

    assert watch.reasons == []
    assert watch.gates.diary == []


async def test_the_time_without_a_broker_is_not_counted_against_the_parking(
    watch: Watch, tmp_path: Path
) -> None:
    (tmp_path / "media").mkdir()
    there = watch.broker
    watch.parking = Parking(is_open=False, why="no answer")
    watch.broker = BrokerView("amqp://here", connected=False, why="away")
    await watch.look()
    await watch.look(MOMENT * 2)
    assert watch.reasons == ["broker"]

    watch.broker = there
    await watch.look()

    assert watch.reasons == []
