"""The hands of the coordinator: what was decided is done, in order, and written down."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from consumers.desk import Later
from supervisor.core import commands
from supervisor.core.commands import Cause
from supervisor.core.events import Exit, Exited, Spawned, SpawnFailed, StartedJob
from supervisor.core.records import Charge, JobState
from supervisor.inbox import Inbox
from supervisor.perform import Offices, Performer
from supervisor.processes import Death, ProcessError, Processes
from supervisor.switchboard import Switchboard
from tests.support.clocks import START, WITHIN, settle
from tests.support.offices import FIRST, SECOND, Office, a_claim
from tests.support.outboxes import FakeLine
from tests.support.sessions import QUEUES
from tests.support.specs import a_spec
from workers import messages
from workers.messages import FromWorker
from workers.spec import WorkerSpec

KILLED = Exit(None, 9, "killed by SIGKILL (9)")


@dataclass
class FakeProcess:
    """A process that is a number and a line."""

    pid: int
    pipe: FakeLine = field(default_factory=FakeLine)


@dataclass
class FakeProcesses:
    """Starts nothing, ends nothing, and remembers what it was told to."""

    diary: list[str] = field(default_factory=list)
    process: FakeProcess = field(default_factory=lambda: FakeProcess(77))
    receive: Callable[[FromWorker], None] | None = None
    trouble: Exception | None = None
    may_start: asyncio.Event = field(default_factory=asyncio.Event)

    async def spawn(
        self, spec: WorkerSpec, *, receive: Callable[[FromWorker], None]
    ) -> FakeProcess:
        await self.may_start.wait()
        if self.trouble:
            raise self.trouble
        self.diary.append(f"spawn {spec.worker_id} {spec.incarnation}")
        self.receive = receive
        return self.process

    async def terminate(self, worker_id: str, *, grace: float) -> None:
        self.diary.append(f"terminate {worker_id} {grace:g}")

    async def kill(self, worker_id: str) -> None:
        self.diary.append(f"kill {worker_id}")

    async def dump_stack(self, worker_id: str) -> str:
        self.diary.append(f"dump {worker_id}")
        return "in a loop"


@dataclass
class Hands:
    """A performer with a real clerk and processes that are none."""

    performer: Performer
    processes: FakeProcesses
    inbox: Inbox
    office: Office

    async def spawn(self) -> None:
        await self.performer.perform(commands.Spawn(*FIRST))
        assert await self.inbox.take(within=WITHIN) == Spawned(*FIRST, 77)

    async def do(self, command: commands.Command) -> None:
        await self.performer.perform(command)
        await asyncio.wait_for(self.performer.close(), WITHIN)


@pytest.fixture
def hands(office: Office) -> Hands:
    inbox, processes = Inbox(), FakeProcesses()
    processes.may_start.set()
    board = Switchboard(inbox, office.clerk, None, office.clock)
    # The real one starts processes; only the four methods above are used of it.
    offices = Offices(
        cast("Processes", processes), board, office.clerk, office.ledger, office.bulletin
    )

    def spec_for(worker: str, incarnation: int) -> WorkerSpec:
        return a_spec(worker_id=worker, incarnation=incarnation)

    return Hands(Performer(offices, inbox, spec_for, office.clock), processes, inbox, office)


def blame(*jobs: str, charge: Charge = Charge.CRASH) -> commands.Blame:
    started = tuple(StartedJob(QUEUES.public, job, 1, 0.0) for job in jobs)
    return commands.Blame(FIRST[0], started, KILLED, "it crashed", charge)


async def test_a_new_process_is_announced_and_on_the_line(hands: Hands) -> None:
    await hands.spawn()
    assert hands.processes.receive is not None
    hands.processes.receive(messages.Claiming(call=1, claim=a_claim()))

    await hands.do(commands.Drain("download-1", "operator"))
    await settle()

    assert messages.Drain(reason="operator") in hands.processes.process.pipe.said
    assert hands.processes.diary == ["spawn download-1 1"]


async def test_a_process_that_cannot_be_started_is_news_and_no_error(hands: Hands) -> None:
    hands.processes.trouble = ProcessError("no memory")

    await hands.do(commands.Spawn(*FIRST))

    assert await hands.inbox.take(within=WITHIN) == SpawnFailed(*FIRST, "no memory")


@pytest.mark.parametrize(
    ("command", "done"),
    [
        (commands.Terminate("download-1", 5.0, "stop"), ["terminate download-1 5"]),
        (commands.Kill("download-1", "memory"), ["kill download-1"]),
        (commands.DumpAndKill("download-1", "hang"), ["dump download-1", "kill download-1"]),
    ],
    ids=["terminate", "kill", "dump and kill"],
)
async def test_a_process_is_ended_the_way_it_was_ordered(
    hands: Hands, command: commands.Command, done: list[str]
) -> None:
    await hands.do(command)

    assert hands.processes.diary == done


@pytest.mark.invariant(5)
async def test_a_crash_is_on_the_disk_before_the_next_process_starts(hands: Hands) -> None:
    for job in ("j1", "j2"):
        await hands.office.clerk.claim(FIRST, a_claim(job))
    await hands.office.written()
    hands.office.ledger.refusals = 1

    await hands.performer.perform(blame("j1", "j2"))
    await hands.performer.perform(commands.Spawn(FIRST[0], 2))
    await settle()
    assert hands.processes.diary == []
    await hands.office.clock.move(1.0)

    spawned = await hands.inbox.take(within=WITHIN)
    assert spawned == Spawned(FIRST[0], 2, 77)
    records = [await hands.office.record(job) for job in ("j1", "j2")]
    assert [(record.crashes, record.history[0].exit) for record in records] == [
        (1, "it crashed"),
        (1, "it crashed"),
    ]


@pytest.mark.invariant(5)
@pytest.mark.parametrize("charge", list(Charge))
async def test_with_a_slow_ledger_nothing_of_a_dead_worker_goes_on_before_it_is_counted(
    hands: Hands, charge: Charge
) -> None:
    await hands.office.clerk.claim(FIRST, a_claim())
    await hands.office.written()
    hands.office.ledger.gate = asyncio.Event()

    await hands.performer.perform(blame("j1", charge=charge))
    await hands.performer.perform(commands.Spawn(FIRST[0], 2))
    hands.performer.forgive(FIRST)
    again = asyncio.ensure_future(hands.office.clerk.claim(SECOND, a_claim(redelivered=True)))
    assert await hands.office.stays_waiting(again)
    assert hands.processes.diary == []
    hands.office.ledger.gate.set()

    assert await hands.inbox.take(within=WITHIN) == Spawned(FIRST[0], 2, 77)
    known = await hands.office.ledger.known(QUEUES.public, "j1")
    assert known is not None
    assert (known.deaths, known.charge) == (1, charge)
    assert isinstance(await asyncio.wait_for(again, WITHIN), Later)


@pytest.mark.invariant(5)
async def test_a_job_is_not_released_while_the_crash_it_is_blamed_for_is_not_counted(
    hands: Hands,
) -> None:
    await hands.office.clerk.claim(FIRST, a_claim())
    await hands.office.written()
    hands.office.ledger.refusals = 1

    await hands.performer.perform(blame("j1"))
    await hands.performer.perform(commands.Spawn(FIRST[0], 2))
    hands.performer.forgive(FIRST)
    again = asyncio.ensure_future(hands.office.clerk.claim(SECOND, a_claim(redelivered=True)))
    assert await hands.office.stays_waiting(again)
    await hands.office.clock.move(1.0)

    assert isinstance(await asyncio.wait_for(again, WITHIN), Later)


async def test_a_ledger_that_takes_nothing_does_not_keep_us_from_stopping(hands: Hands) -> None:
    await hands.office.clerk.claim(FIRST, a_claim())
    await hands.office.written()
    hands.office.ledger.refusals = 1_000_000
    await hands.performer.perform(blame("j1"))
    closing = asyncio.ensure_future(hands.performer.close())
    assert await hands.office.stays_waiting(closing)

    hands.performer.give_up()
    await hands.office.clock.move(1.0)

    await asyncio.wait_for(closing, WITHIN)


async def test_a_crash_of_a_job_that_was_never_entered_does_not_keep_us_from_stopping(
    hands: Hands,
) -> None:
    hands.office.ledger.refusals = 1_000_000
    await hands.office.clerk.claim(FIRST, a_claim())
    await hands.performer.perform(blame("j1"))
    hands.performer.forgive(FIRST)
    closing = asyncio.ensure_future(hands.performer.close())
    assert await hands.office.stays_waiting(closing)

    hands.performer.give_up()

    await asyncio.wait_for(closing, WITHIN)


async def test_a_start_that_waits_for_the_ledger_is_called_off_by_a_stop(hands: Hands) -> None:
    await hands.office.clerk.claim(FIRST, a_claim())
    await hands.office.written()
    hands.office.ledger.refusals = 1_000_000
    await hands.performer.perform(blame("j1"))
    await hands.performer.perform(commands.Spawn(FIRST[0], 2))
    await settle()
    assert hands.inbox.behind == 0.0

    hands.performer.leave()

    news = await hands.inbox.take(within=WITHIN)
    assert news == SpawnFailed(FIRST[0], 2, "not started, the supervisor stops")
    assert hands.processes.diary == []


@pytest.mark.invariant(9)
async def test_a_start_that_takes_its_time_holds_nothing_else_up(hands: Hands) -> None:
    hands.processes.may_start.clear()

    await asyncio.wait_for(hands.performer.perform(commands.Spawn(*FIRST)), WITHIN)
    await hands.performer.perform(commands.Kill("download-2", "memory"))
    await settle()

    assert hands.processes.diary == ["kill download-2"]
    hands.processes.may_start.set()
    assert await hands.inbox.take(within=WITHIN) == Spawned(*FIRST, 77)


async def test_a_start_that_fails_in_a_way_nobody_expected_is_answered_too(hands: Hands) -> None:
    hands.processes.trouble = RuntimeError("a mistake of ours")

    await hands.do(commands.Spawn(*FIRST))

    failed = SpawnFailed(*FIRST, "not started, the log says why")
    assert await hands.inbox.take(within=WITHIN) == failed


async def test_what_nobody_is_blamed_for_is_released(hands: Hands) -> None:
    await hands.office.clerk.claim(FIRST, a_claim())

    hands.performer.forgive(FIRST)
    await asyncio.wait_for(hands.performer.close(), WITHIN)

    record = await hands.office.record()
    assert (record.state, record.crashes) == (JobState.WAITING, 0)


async def test_an_incident_has_the_stack_its_worker_hung_in(hands: Hands) -> None:
    await hands.do(commands.DumpAndKill("download-1", "no beat"))

    await hands.do(
        commands.Record("download-1", "download", Cause.HANG, "no beat", "SIGKILL", 77, ("j1",))
    )

    (incident,) = await hands.office.ledger.incidents(limit=5)
    assert (incident.cause, incident.stack, incident.jobs) == ("hang", "in a loop", ("j1",))
    assert hands.performer.last_restarts["download-1"].why == "no beat"


async def test_a_stack_is_told_once(hands: Hands) -> None:
    await hands.do(commands.DumpAndKill("download-1", "no beat"))
    for _ in range(2):
        await hands.do(commands.Record("download-1", "download", Cause.HANG, "no beat"))

    assert [one.stack for one in await hands.office.ledger.incidents(limit=5)] == ["", "in a loop"]


async def test_an_incident_waits_for_a_ledger_that_refuses_and_holds_nothing_up(
    hands: Hands,
) -> None:
    hands.office.ledger.refusals = 1
    record = commands.Record("download-1", "download", Cause.CRASH, "SIGKILL")

    await asyncio.wait_for(hands.performer.perform(record), WITHIN)
    await settle()
    assert await hands.office.ledger.incidents(limit=5) == ()
    await hands.office.clock.move(1.0)

    await asyncio.wait_for(hands.performer.close(), WITHIN)
    assert len(await hands.office.ledger.incidents(limit=5)) == 1


async def test_a_death_is_told_with_the_last_words_and_the_stack_it_left(hands: Hands) -> None:
    await hands.spawn()
    assert hands.processes.receive is not None
    hands.processes.receive(messages.Stopped(FIRST[0], START, "no such module"))
    await hands.inbox.take(within=WITHIN)  # it has left

    hands.performer.exited(Death(*FIRST, 77, 78, None, "exit code 78", stack="here"))
    await hands.do(commands.Record("download-1", "download", Cause.CRASH, "it crashed"))

    told = Exit(78, None, "exit code 78: no such module")
    assert await hands.inbox.take(within=WITHIN) == Exited(*FIRST, told)
    (incident,) = await hands.office.ledger.incidents(limit=5)
    assert incident.stack == "here"


async def test_what_is_announced_is_an_event_for_everybody(hands: Hands) -> None:
    fields = {"why": "killed", "exit": ""}

    await hands.do(commands.Announce("worker.crashed", "download-1", fields))
    await hands.do(commands.Finished())

    (event,) = hands.office.bulletin.events
    told = (event.name, event.worker, event.data)
    assert told == ("worker.crashed", "download-1", {"why": "killed"})
