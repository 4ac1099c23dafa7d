"""A machine at fault: what is held, how often it is looked at, and when the job is to blame."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consumers.errors import HostError
from consumers.jobs import Faults, Job
from consumers.outcome import Completed, Failed, Failure, Interrupted, Outcome
from tests.support.clocks import FakeClock, settle
from workers import recovery
from workers.machine import HOLD, Examination, Machine
from workers.processor import Host
from workers.recovery import Evidence, Recovery

FULL = Failure("no space left", code="disk_full", hint="make room")
MET = Interrupted(FULL, 1.0)
DONE = Completed({}, 1.0)


def a_job(name: str = "7", faults: Faults = recovery.NONE_BEFORE) -> Job:
    return Job(name, "clips", {}, faults=faults)


@dataclass
class Place:
    """The machine's surroundings: what is wrong with it, and who is held for it."""

    wrong: Exception | None = None
    media: Path = Path("/media")
    options: Mapping[str, object] = field(default_factory=dict)
    looks: int = 0
    holds: dict[str, str] = field(default_factory=dict)

    async def check(self, host: Host) -> None:
        assert host is self
        self.looks += 1
        if self.wrong is not None:
            raise self.wrong

    async def hold(self, name: str, why: str) -> None:
        self.holds[name] = why

    async def release(self, name: str) -> None:
        self.holds.pop(name)


@dataclass
class Bench:
    place: Place
    clock: FakeClock
    machine: Machine
    watching: asyncio.Task[None]

    async def judge(self, outcome: Outcome, name: str = "7") -> Outcome:
        judged = await self.machine.judge(a_job(name), outcome)
        await settle()
        return judged


MakeBench = Callable[..., Bench]


@pytest.fixture
async def build() -> AsyncIterator[MakeBench]:
    tasks: list[asyncio.Task[None]] = []

    def make(*, checks: bool = True) -> Bench:
        place, clock = Place(), FakeClock()
        machine = Machine(Examination(place.check if checks else None, place), place, clock)
        tasks.append(asyncio.ensure_future(machine.watch()))
        return Bench(place, clock, machine, tasks[-1])

    yield make
    for task in tasks:
        task.cancel()


async def test_a_machine_that_is_well_holds_nothing(build: MakeBench) -> None:
    bench = build()

    await bench.machine.begin()

    assert await bench.judge(DONE) == DONE
    assert (bench.place.looks, bench.place.holds) == (1, {})


async def test_a_fault_found_before_the_first_job_holds_until_it_is_over(build: MakeBench) -> None:
    bench = build()
    bench.place.wrong = HostError("no ffmpeg", hint="install it")

    await bench.machine.begin()
    assert bench.place.holds == {HOLD: "no ffmpeg (install it)"}

    await bench.clock.move(recovery.FIRST_PAUSE)
    assert bench.place.holds
    bench.place.wrong = None
    await bench.clock.move(recovery.FIRST_PAUSE)

    assert (bench.place.looks, bench.place.holds) == (3, {})


async def test_a_job_that_met_a_fault_is_interrupted_and_holds(build: MakeBench) -> None:
    bench = build()
    bench.place.wrong = HostError("no space left", code="disk_full")

    assert await bench.judge(MET) == MET

    assert bench.place.holds == {HOLD: "no space left (make room)"}


@pytest.mark.invariant(7)
async def test_a_failure_while_the_machine_is_at_fault_is_not_the_jobs(build: MakeBench) -> None:
    bench = build()
    bench.place.wrong = HostError("no space left", code="disk_full")
    strange = Failed(Failure("moov atom not found", code="not_media", permanent=True), 2.0)

    judged = await bench.judge(strange)

    assert judged == Interrupted(Failure("no space left", code="disk_full"), 2.0)
    assert HOLD in bench.place.holds


async def test_a_failure_on_a_machine_that_is_well_is_the_jobs(build: MakeBench) -> None:
    bench = build()
    failed = Failed(Failure("gone", code="not_found", permanent=True), 2.0)

    assert await bench.judge(failed) == failed
    assert bench.place.holds == {}


async def test_without_a_check_the_next_job_is_the_check(build: MakeBench) -> None:
    bench = build(checks=False)

    for pause in (5.0, 10.0, 20.0, 40.0, 60.0, 60.0):
        assert await bench.judge(MET) == MET
        assert HOLD in bench.place.holds
        await bench.clock.move(pause - 0.1)
        assert HOLD in bench.place.holds
        await bench.clock.move(0.1)
        assert bench.place.holds == {}


async def test_one_success_makes_the_first_pause_short_again(build: MakeBench) -> None:
    bench = build(checks=False)
    for _ in range(3):
        await bench.judge(MET)
        await bench.clock.move(recovery.LONGEST_PAUSE)

    await bench.judge(DONE, "8")
    await bench.judge(MET)

    assert bench.clock.slept[-1] == recovery.FIRST_PAUSE


async def test_jobs_that_meet_the_fault_together_are_one_fault(build: MakeBench) -> None:
    bench = build(checks=False)

    for name in ("1", "2", "3"):
        await bench.judge(MET, name)

    assert bench.clock.slept == [recovery.FIRST_PAUSE]


async def test_a_job_too_large_for_the_machine_is_its_own_fault_the_third_time(
    build: MakeBench,
) -> None:
    bench = build()

    for _ in range(2):
        assert await bench.judge(MET, "huge") == MET
        await bench.clock.move(recovery.LONGEST_PAUSE)
        assert bench.place.holds == {}

    assert await bench.judge(MET, "huge") == Failed(FULL, 1.0)
    assert bench.place.holds == {}
    assert await bench.judge(MET, "another") == MET


async def test_a_job_is_never_blamed_while_the_check_agrees_with_it(build: MakeBench) -> None:
    bench = build()
    bench.place.wrong = HostError("no space left", code="disk_full")

    for _ in range(5):
        assert await bench.judge(MET) == MET


@pytest.mark.parametrize("code", sorted(recovery.ITS_OWN_DOING))
async def test_what_one_job_brings_about_on_a_machine_that_is_well_is_its_own_failure_at_last(
    build: MakeBench, code: str
) -> None:
    """Otherwise it would come back for ever, and hold its worker each time."""
    bench = build()
    met = Interrupted(Failure("too much", code=code), 1.0)

    for _ in range(recovery.DOUBTS - 1):
        assert await bench.judge(met) == met

    assert await bench.judge(met) == Failed(met.failure, 1.0)


def test_a_job_may_exhaust_its_own_means() -> None:
    assert recovery.is_to_blame("exhausted", met=recovery.DOUBTS)


async def test_a_job_cannot_be_blamed_for_a_missing_program(build: MakeBench) -> None:
    bench = build()
    missing = Interrupted(Failure("no ffmpeg", code="ffmpeg_missing"), 1.0)

    for _ in range(5):
        assert await bench.judge(missing) == missing


NO_FONT = Failure("no such font", code="no_font", hint="install it")
REFUTED = Faults(met=4, refuted=recovery.DOUBTS - 1)
PATIENT = Faults(met=recovery.PATIENCE - 1)


@pytest.mark.parametrize(
    ("evidence", "is_own"),
    [
        (Evidence(), False),
        (Evidence(faults=Faults(met=1000)), False),  # nothing was done since: the machine is down
        (Evidence(faults=Faults(met=1000, refuted=recovery.DOUBTS - 2)), False),
        (Evidence(faults=REFUTED), True),
        (Evidence(faults=REFUTED, is_checked=True), True),
        (Evidence(faults=REFUTED, is_held=True), False),  # another job says the same just now
        (Evidence(faults=PATIENT), False),  # nobody looked at the machine
        (Evidence(faults=PATIENT, is_checked=True), True),
        (Evidence(faults=Faults(met=recovery.PATIENCE - 2), is_checked=True), False),
        (Evidence(met=recovery.DOUBTS, is_checked=True), False),  # no font is not its own doing
    ],
)
def test_a_job_is_believed_until_others_are_done_or_the_check_has_passed_for_long(
    evidence: Evidence, *, is_own: bool
) -> None:
    assert (recovery.own_failure(NO_FONT, evidence) is not None) == is_own


def test_a_failure_that_was_no_fault_of_the_machine_says_what_it_was_taken_for() -> None:
    own = recovery.own_failure(NO_FONT, Evidence(faults=REFUTED))

    assert own is not None
    assert (own.message, own.code, own.permanent) == ("no such font", "no_font", False)
    assert own.hint == (
        "install it; taken for a fault of the machine each time before, "
        "but after 2 of them other jobs were done"
    )


@pytest.mark.parametrize("checks", [True, False])
async def test_a_job_that_alone_meets_a_fault_while_others_are_done_fails_and_holds_nothing(
    build: MakeBench, *, checks: bool
) -> None:
    bench = build(checks=checks)

    judged = await bench.machine.judge(a_job(faults=REFUTED), Interrupted(NO_FONT, 1.0))

    assert isinstance(judged, Failed)
    assert bench.place.holds == {}


@pytest.mark.invariant(7)
async def test_a_job_often_refuted_is_believed_while_the_machine_is_at_fault(
    build: MakeBench,
) -> None:
    bench = build()
    bench.place.wrong = HostError("no space left", code="disk_full")

    assert await bench.machine.judge(a_job(faults=REFUTED), MET) == MET
    assert HOLD in bench.place.holds


async def test_what_is_wrong_is_said_anew_when_it_changes(build: MakeBench) -> None:
    bench = build()
    bench.place.wrong = HostError("disk full")
    await bench.machine.begin()

    bench.place.wrong = OSError(errno.EROFS, "Read-only file system", "/media")
    await bench.clock.move(recovery.FIRST_PAUSE)

    assert "Read-only file system: /media" in bench.place.holds[HOLD]


async def test_a_check_that_breaks_is_no_good_news(build: MakeBench) -> None:
    bench = build()
    bench.place.wrong = KeyError("typo")

    await bench.machine.begin()

    assert bench.place.holds == {HOLD: "its check_host raised KeyError: 'typo'"}


async def test_a_plain_function_may_be_the_check(build: MakeBench) -> None:
    asked: list[Host] = []
    place = Place()
    machine = Machine(Examination(asked.append, place), place, FakeClock())

    await machine.begin()

    assert asked == [place]


def test_the_pauses_double_up_to_a_minute_until_a_job_succeeds() -> None:
    pauses, now = [], Recovery()
    for _ in range(6):
        now = recovery.fallen(now)
        pauses.append(now.pause)

    assert pauses == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert recovery.fallen(Recovery()).pause == 5.0
