"""The pulse comes from the coordinator's own loop: when that stands still, nothing is heard."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from supervisor.coordinator import Coordinator, Crew
from supervisor.core.commands import Command
from supervisor.core.events import Event, Ready, Spawned, SpawnFailed, StopAsked
from supervisor.core.fleet import PoolPolicy, initial
from supervisor.core.vitals import PipeReading
from supervisor.inbox import Inbox
from supervisor.pulse import Pulse, Seen
from supervisor.systemd import Notifier
from tests.support.clocks import FakeClock, settle

WORKER = ("download-1", 1)
WATCHDOG = 20.0  # seconds
NEWS_OF_NOBODY = Ready("nobody", 1)
WELL = Seen(behind=0.0, unwritten=0.0, pipes={}, trouble="")


@dataclass
class House:
    """A real loop of a coordinator, and everything its service manager heard."""

    clock: FakeClock = field(default_factory=FakeClock)
    inbox: Inbox = field(default_factory=Inbox)
    seen: Seen = WELL
    said: list[str] = field(default_factory=list)
    hands: asyncio.Event = field(default_factory=asyncio.Event)  # clear: an order takes for ever

    def __post_init__(self) -> None:
        self.hands.set()
        notifier = Notifier(lambda words: self.said.append(words.decode()), WATCHDOG)
        self.pulse = Pulse(notifier, lambda: self.seen, self.clock)
        fleet, commands = initial([PoolPolicy(name="download")], 0.0)
        # Turns come from events alone, which a test can count.
        crew = Crew(self.inbox, self, self.pulse.turned)
        self.coordinator = Coordinator(fleet, commands, crew, self.clock)

    async def perform(self, command: Command) -> None:
        await self.hands.wait()

    def forgive(self, holder: tuple[str, int]) -> None:
        """Nothing is in hand here."""

    async def turn(self, event: Event = NEWS_OF_NOBODY) -> None:
        """Let the loop handle one event."""
        self.inbox.put(event)
        await settle()

    async def live(self, seconds: int) -> int:
        """Let so many seconds pass with a turn in each; return how often alive was said."""
        before = self.said.count("WATCHDOG=1")
        for _ in range(seconds):
            self.clock.now += 1.0
            await self.turn()
        return self.said.count("WATCHDOG=1") - before


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    running = asyncio.ensure_future(house.coordinator.run())
    await settle()
    yield house
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_alive_is_said_at_half_of_the_watchdogs_time(house: House) -> None:
    await house.turn()

    assert await house.live(40) == 4


async def test_nothing_is_said_while_the_loop_stands_still_and_time_passes(house: House) -> None:
    await house.live(11)
    house.hands.clear()
    await house.turn(SpawnFailed(*WORKER, "no"))
    house.clock.now += 400.0
    await house.turn()  # its restart is due, and the hands take for ever over it

    heard = len(house.said)
    assert await house.live(60) == 0
    assert len(house.said) == heard

    house.hands.set()
    await settle()
    assert await house.live(11) >= 1


@pytest.mark.parametrize(
    ("ill", "words"),
    [
        (replace(WELL, behind=11.0), "behind with its events"),
        (replace(WELL, unwritten=11.0), "ledger has not answered"),
        (replace(WELL, pipes={"download-1": PipeReading(3, is_waiting=True)}), "listened to"),
    ],
)
async def test_nothing_alive_is_said_while_something_it_depends_on_stands_still(
    ill: Seen, words: str, house: House
) -> None:
    await house.turn()
    house.seen = ill
    await house.live(12)

    assert await house.live(40) == 0
    assert words in house.said[-1]
    assert "not well" in house.said[-1]

    house.seen = WELL
    assert await house.live(1) == 1
    assert "not well" not in house.said[-2]


async def test_ready_is_said_once_every_worker_is_ordered() -> None:
    house = House()
    house.hands.clear()
    running = asyncio.ensure_future(house.coordinator.run())
    await house.turn()
    assert house.said == []

    house.hands.set()
    await settle()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert house.said[0] == "READY=1\nSTATUS=0 of 1 workers, 0 jobs running, broker connected"


async def test_ready_does_not_depend_on_the_broker(house: House) -> None:
    house.seen = replace(WELL, trouble="amqp://u:hunter2@host: refused")
    await house.turn()

    assert house.said[0] == "READY=1\nSTATUS=waiting for the broker: amqp://u:***@host: refused"


async def test_a_status_is_said_on_change_and_at_most_once_a_second(house: House) -> None:
    await house.turn(Spawned(*WORKER, 7))
    await house.turn(Ready(*WORKER))
    assert len([words for words in house.said if "STATUS" in words]) == 1

    await house.live(3)

    statuses = [words for words in house.said if "STATUS" in words]
    assert statuses[1:] == ["STATUS=1 worker, 0 jobs running, broker connected"]


async def test_a_stop_is_said_at_once_and_asks_for_time_as_long_as_it_takes(house: House) -> None:
    await house.turn(Spawned(*WORKER, 7))
    await house.turn(Ready(*WORKER))
    await house.turn(StopAsked())

    told = [words.partition("=")[0] for words in house.said]
    assert told[-2:] == ["STOPPING", "EXTEND_TIMEOUT_USEC"]
    assert house.said[-1] == "EXTEND_TIMEOUT_USEC=60000000"  # 30 s of grace and a farewell

    await house.live(20)
    asked = [words for words in house.said if words.startswith("EXTEND")]
    assert asked[1:] == [f"EXTEND_TIMEOUT_USEC={seconds}000000" for seconds in (55, 50, 45, 40)]
    assert sum("STOPPING" in words for words in house.said) == 1


async def test_a_stop_that_hangs_is_not_given_time_for_ever(house: House) -> None:
    await house.turn(Spawned(*WORKER, 7))
    await house.turn(Ready(*WORKER))
    await house.turn(StopAsked())

    await house.live(300)  # its worker does not even die when it is killed

    asked = [words for words in house.said if words.startswith("EXTEND")]
    assert asked[-2:] == ["EXTEND_TIMEOUT_USEC=35000000", "EXTEND_TIMEOUT_USEC=30000000"]
    assert len(asked) == 7


async def test_without_anybody_who_listens_the_loop_waits_as_long_as_it_likes() -> None:
    def look() -> Seen:
        raise AssertionError("nobody asked")

    pulse = Pulse(Notifier(None), look, FakeClock())

    pulse.turned(initial([PoolPolicy(name="download")], 0.0)[0])

    assert pulse.longest_wait is None
