"""The coordinator's loop: one event, one decision, its commands in order."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from supervisor.coordinator import Coordinator, Crew
from supervisor.core.commands import Blame, Command, Spawn
from supervisor.core.events import (
    Exit,
    Exited,
    JobStarted,
    Ready,
    Spawned,
    StopNowAsked,
)
from supervisor.core.fleet import Fleet, PoolPolicy, initial
from supervisor.inbox import Inbox
from tests.support.clocks import WITHIN, FakeClock, settle

WORKER = ("download-1", 1)
KILLED = Exit(None, 9, "killed by SIGKILL (9)")


@dataclass
class Performer:
    """Remembers what it was told to do."""

    diary: list[str] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    forgiven: list[tuple[str, int]] = field(default_factory=list)
    performed: asyncio.Event = field(default_factory=asyncio.Event)

    async def perform(self, command: Command) -> None:
        await asyncio.sleep(0)
        self.diary.append(type(command).__name__)
        self.commands.append(command)
        self.performed.set()

    async def until(self, command: Command) -> None:
        """Wait until this was performed."""
        async with asyncio.timeout(WITHIN):
            while command not in self.commands:
                self.performed.clear()
                await self.performed.wait()

    def forgive(self, holder: tuple[str, int]) -> None:
        self.diary.append("forgive")
        self.forgiven.append(holder)


@dataclass
class House:
    """A coordinator at work."""

    coordinator: Coordinator
    inbox: Inbox
    performer: Performer
    clock: FakeClock
    fleets: list[Fleet]
    running: "asyncio.Task[None]"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    inbox, performer, clock, fleets = Inbox(), Performer(), FakeClock(), list[Fleet]()
    fleet, commands = initial([PoolPolicy(name="download", delay=5.0)], clock.monotonic())
    crew = Crew(inbox, performer, fleets.append)
    coordinator = Coordinator(fleet, commands, crew, clock)
    running = asyncio.ensure_future(coordinator.run())
    await settle()
    yield House(coordinator, inbox, performer, clock, fleets, running)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_first_processes_are_started_before_anything_happens(house: House) -> None:
    assert house.performer.commands == [Spawn(*WORKER)]


async def test_who_wants_to_know_is_told_of_every_change(house: House) -> None:
    house.inbox.put(Spawned(*WORKER, 77))
    house.inbox.put(Ready(*WORKER))
    await settle()

    assert [fleet.workers["download-1"].state.value for fleet in house.fleets] == [
        "starting",
        "idle",
    ]
    assert house.coordinator.fleet is house.fleets[-1]


async def test_a_dead_process_is_forgiven_only_after_the_blame_is_performed(
    house: House,
) -> None:
    for event in (
        Spawned(*WORKER, 77),
        Ready(*WORKER),
        JobStarted(*WORKER, "download_queue", "j1"),
        Exited(*WORKER, KILLED),
    ):
        house.inbox.put(event)
    await settle()

    assert house.performer.diary.index("Blame") < house.performer.diary.index("forgive")
    assert house.performer.forgiven == [WORKER]
    (blame,) = [one for one in house.performer.commands if isinstance(one, Blame)]
    assert [job.id for job in blame.jobs] == ["j1"]


async def test_a_deadline_that_has_passed_is_acted_upon_without_an_event(house: House) -> None:
    house.inbox.put(Spawned(*WORKER, 77))
    house.inbox.put(Ready(*WORKER))
    house.inbox.put(Exited(*WORKER, KILLED))
    await settle()
    assert Spawn("download-1", 2) not in house.performer.commands

    house.clock.now += 400.0
    house.inbox.put(Ready(*WORKER))  # news of the dead process: it only wakes the loop
    await house.performer.until(Spawn("download-1", 2))

    assert house.coordinator.fleet.workers["download-1"].incarnation == 2


async def test_the_loop_ends_when_every_worker_is_down_after_a_stop(house: House) -> None:
    house.inbox.put(Spawned(*WORKER, 77))
    house.inbox.put(StopNowAsked())
    house.inbox.put(Exited(*WORKER, KILLED))

    await asyncio.wait_for(house.running, WITHIN)

    assert house.coordinator.fleet.is_finished
