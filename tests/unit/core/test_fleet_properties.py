"""Whatever happens, in whatever order, these hold.

The events are drawn without any sense: processes that die before they start, news from the dead,
stops in the middle of starts, time that leaps. The shell's part is played faithfully where the
rules lean on it: a process appears at most once for each order.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.core.commands import Blame, Command, Finished, Spawn
from supervisor.core.decide import decide
from supervisor.core.events import (
    Beaten,
    CancelIgnored,
    Event,
    Exit,
    Exited,
    HouseEvent,
    JobEnded,
    JobStarted,
    Left,
    Measured,
    OperatorEvent,
    Ready,
    RestartAsked,
    RestartWorkerAsked,
    ScaleAsked,
    Spawned,
    SpawnFailed,
    StopAsked,
    StopNowAsked,
    StopWorkerAsked,
    Ticked,
)
from supervisor.core.fleet import (
    Ending,
    Fleet,
    PoolPolicy,
    RestartPolicy,
    Stopping,
    Worker,
    initial,
)
from supervisor.core.lifecycle import WorkerState
from tests.unit.core.stories import (
    CLEAN,
    FAILED,
    KILLED,
    MISCONFIGURED,
    QUEUE,
    SEGFAULT,
    TERMINATED,
    UNKNOWN,
)

MB = 1_000_000
EXITS = st.sampled_from([CLEAN, FAILED, KILLED, MISCONFIGURED, SEGFAULT, TERMINATED, UNKNOWN])
WORKERS = st.sampled_from(["download-1", "download-2", "cutter-1", "gone-1"])
AGES = st.sampled_from([0, 0, 0, 0, 0, -1, 1])  # nearly always of the process there is
OF = (WORKERS, AGES)
JOB = (*OF, st.just(QUEUE), st.sampled_from(["j1", "j2", "j3"]))
WORDS = st.just("why")
MEMORY = st.sampled_from([0, 600 * MB, 900 * MB])

TIME: st.SearchStrategy[Event] = st.just(Ticked())
OPERATORS: st.SearchStrategy[Event] = st.one_of(
    st.builds(RestartWorkerAsked, WORKERS, WORDS),
    st.builds(StopWorkerAsked, WORKERS),
    st.builds(ScaleAsked, st.just("download"), st.integers(0, 3), WORDS, st.booleans()),
)
PROCESSES: st.SearchStrategy[Event] = st.one_of(
    st.builds(Spawned, *OF, st.integers(2, 9999)),
    st.builds(SpawnFailed, *OF, WORDS),
    st.builds(Ready, *OF),
    st.builds(Exited, *OF, EXITS),
)
NEWS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Beaten, *OF, st.booleans(), WORDS),
    st.builds(JobStarted, *JOB, st.just(1)),
    st.builds(JobEnded, *JOB),
    st.builds(CancelIgnored, *JOB),
    st.builds(Measured, *OF, MEMORY, st.sampled_from([0.5, 2.0])),
    st.builds(RestartAsked, *OF, WORDS),
    st.builds(Left, *OF),
)
STOPS: st.SearchStrategy[Event] = st.sampled_from([StopAsked(), StopNowAsked()])

# An event, the time since the last one, and the dice.
STEPS = st.lists(
    st.tuples(
        st.one_of(TIME, OPERATORS, PROCESSES, PROCESSES, NEWS, NEWS),
        st.sampled_from([0.0, 0.5, 5.0, 40.0]),
        st.sampled_from([0.0, 0.5, 0.99]),
    ),
    max_size=60,
)
STOPPED_STEPS = st.builds(
    lambda before, stop, after: [*before, (stop, 0.0, 0.0), *after], STEPS, STOPS, STEPS
)
POOLS = st.tuples(
    *(
        st.builds(
            PoolPolicy,
            name=st.just(name),
            instances=st.just(instances),
            restart=st.sampled_from(RestartPolicy),
            delay=st.sampled_from([0.0, 1.0, 5.0]),
            memory_soft=st.sampled_from([None, 512 * MB]),
            memory_hard=st.sampled_from([None, 768 * MB]),
            max_cpu=st.sampled_from([None, 1.0]),
            timeout=st.just(120.0),
        )
        for name, instances in (("download", 2), ("cutter", 1))
    )
)


def as_it_is(event: Event, fleet: Fleet) -> Event:
    """Make an event drawn with an age one of the process there is, or of its neighbours."""
    if isinstance(event, HouseEvent | OperatorEvent):
        return event
    worker = fleet.workers.get(event.worker)
    return replace(event, incarnation=event.incarnation + (worker.incarnation if worker else 1))


def can_happen(event: Event, fleet: Fleet) -> bool:
    """Answer whether a faithful shell would say this: a process appears once, if ordered."""
    if not isinstance(event, Spawned | SpawnFailed):
        return True
    worker = fleet.workers.get(event.worker)
    return worker is not None and worker.ordered_at is not None


def check_worker(worker: Worker, policy: PoolPolicy) -> None:
    if worker.state is WorkerState.IDLE:
        assert not worker.jobs
    if worker.state is WorkerState.PROCESSING:
        assert worker.jobs
    if worker.state.is_running:
        assert worker.pid is not None
        assert worker.condemned is None
    if worker.state in (WorkerState.CRASHED, WorkerState.FAILED):
        assert worker.restart_at is not None, "nobody will ever start it again"
    if worker.state is WorkerState.STOPPED:
        assert worker.restart_at is None
    assert worker.is_live == (
        worker.state not in (WorkerState.CRASHED, WorkerState.FAILED, WorkerState.STOPPED)
    )
    if worker.condemned is not None and worker.condemned.ending is Ending.DRAIN and worker.pid:
        assert list(worker.deadlines(policy)), "nobody will ever end it"
    assert worker.restart_at is None or not worker.is_live


def check_order(commands: tuple[Command, ...]) -> None:
    spawned: set[str] = set()
    for command in commands:
        if isinstance(command, Spawn):
            spawned.add(command.worker)
        if isinstance(command, Blame):
            assert command.worker not in spawned, "it was started before the job was blamed"


def check_spawns(before: Fleet, event: Event, after: Fleet, commands: tuple[Command, ...]) -> None:
    for spawn in commands:
        if not isinstance(spawn, Spawn):
            continue
        assert after.stopping is Stopping.NO, "started while the house stops"
        was = before.workers.get(spawn.worker)
        if was is None:
            assert spawn.incarnation == before.departed.get(spawn.worker, 0) + 1
            continue
        assert spawn.incarnation == was.incarnation + 1
        died = isinstance(event, Exited | SpawnFailed) and event.worker == spawn.worker
        assert died or not was.is_live, "two processes in one slot"


@settings(max_examples=500)
@given(pools=POOLS, steps=st.one_of(STEPS, STOPPED_STEPS))
def test_whatever_happens_the_fleet_stays_in_order(
    pools: tuple[PoolPolicy, ...], steps: list[tuple[Event, float, float]]
) -> None:
    (fleet, _), now, finished = initial(pools, now=0.0), 0.0, 0
    for drawn, passed, roll in steps:
        event, before = as_it_is(drawn, fleet), fleet
        if not can_happen(event, fleet):
            continue
        now += passed
        fleet, commands = decide(fleet, event, now, roll)
        finished += commands.count(Finished())

        check_order(commands)
        check_spawns(before, event, fleet, commands)
        for worker in fleet.workers.values():
            check_worker(worker, fleet.policy_of(worker))
        assert finished == fleet.is_finished
        assert not (finished and any(worker.is_live for worker in fleet.workers.values()))


@settings(max_examples=50)
@given(pools=POOLS, steps=STEPS)
def test_a_house_that_stops_is_finished_once_its_processes_are_dead(
    pools: tuple[PoolPolicy, ...], steps: list[tuple[Event, float, float]]
) -> None:
    fleet, _ = initial(pools, now=0.0)
    for drawn, _, roll in steps:
        event = as_it_is(drawn, fleet)
        if can_happen(event, fleet):
            fleet, _ = decide(fleet, event, 0.0, roll)
    fleet, _ = decide(fleet, StopAsked(), 0.0, 0.0)
    for worker in tuple(fleet.workers.values()):
        if worker.is_live:
            fleet, _ = decide(fleet, Exited(worker.id, worker.incarnation, KILLED), 0.0, 0.0)

    assert fleet.is_finished
    assert {worker.state for worker in fleet.workers.values()} == {WorkerState.STOPPED}


@pytest.mark.parametrize("restart", list(RestartPolicy))
@given(
    exits=st.lists(
        st.sampled_from([FAILED, KILLED, SEGFAULT, UNKNOWN, MISCONFIGURED]), max_size=20
    ),
    roll=st.floats(0, 1, exclude_max=True),
)
def test_a_worker_that_always_dies_is_always_started_again(
    restart: RestartPolicy, exits: list[Exit], roll: float
) -> None:
    fleet, _ = initial([PoolPolicy(name="download", restart=restart)], now=0.0)
    now = 0.0
    for exit_ in exits:
        incarnation = fleet.workers["download-1"].incarnation
        fleet, _ = decide(fleet, Spawned("download-1", incarnation, 7), now, roll)
        fleet, _ = decide(fleet, Exited("download-1", incarnation, exit_), now, roll)
        due = fleet.next_deadline()
        assert due is not None
        assert due <= now + 300.0
        fleet, commands = decide(fleet, Ticked(), due, roll)
        assert commands == (Spawn("download-1", incarnation + 1),)
        now = due
