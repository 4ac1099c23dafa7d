"""Workers that hang, hold their interpreter or misuse their pipe hurt themselves alone.

All of them at once: their siblings go on working, the supervisor answers, and each rogue is
replaced for a reason that people understand.
"""

import json
import re
import time
from collections.abc import Callable

import psutil
import pytest

from supervisor.client import Client
from supervisor.core.records import Incident
from tests.journeys.conftest import Configured
from tests.support import rogues
from tests.support.program import Program
from workers.descendants import is_running

pytestmark = [pytest.mark.journey, pytest.mark.processes, pytest.mark.timeout(120)]

SILENT = 4.0  # seconds without a beat that mean a hang
TALKS = 3  # seconds that a flood may last before its job is over its time
MARGIN = 5  # seconds more for a job that stops itself
LATE = 4.0  # seconds that a hang or a job over its time may be noticed late, on a busy machine
CALM = 6.0  # seconds that a sibling's job may take; a tenth of it where processors are free
ANSWER = 4.0  # seconds for the supervisor to answer
HANGS = ("stop", "hold", "backtrack", "halve")
FLOODS = ("flood", "ask")
MORE = 100_000_000  # bytes of memory that floods may cost the coordinator


@pytest.mark.invariant(9)
def test_no_rogue_stalls_the_coordinator_or_its_siblings(
    configured: Configured, record_property: Callable[[str, object], None]
) -> None:
    rogue = {"processor": "tests.support.rogues", "max_crashes": 1, "timeout": f"{TALKS}s"}
    deeds = (*HANGS, *FLOODS, "boast", "babble")
    pools = dict.fromkeys(deeds, rogue)
    beats = {"interval": "300ms", "timeout": f"{SILENT}s"}
    program = configured({"calm": {}} | pools, heartbeat=beats).start()
    coordinator = psutil.Process(program.status().pid)
    before = coordinator.memory_info().rss

    bad = {deed: program.submit(deed, {"do": deed})[0] for deed in deeds}
    jobs, answers, most = [0.0], [0.0], before
    while not set(bad.values()) <= program.ids("failed"):
        jobs.append(took(lambda: program.wait_for_state("completed", *program.submit("calm", {}))))
        answers.append(took(program.status))
        most = max(most, coordinator.memory_info().rss)
    program.wait_until_consuming()

    figures = {
        "slowest calm job": round(max(jobs), 2),
        "slowest answer": round(max(answers), 2),
        "calm jobs": len(jobs),
        "megabytes more": (most - before) // 1_000_000,
    }
    print(figures)  # noqa: T201 - shown by -s
    record_property("figures", figures)
    assert max(jobs) < CALM
    assert max(answers) < ANSWER
    assert most - before < MORE
    for deed in HANGS:
        assert_it_hung(program, deed)
    for deed in FLOODS:
        told = incident(program, deed)
        assert told.cause == "timeout"
        assert seconds_in(told.why) < TALKS + MARGIN + LATE
    assert program.worker("calm-1").restarts == 0
    assert len(rogues.family(program.media)) == 2
    assert not any(is_running(pid) for pid in rogues.family(program.media))
    check_that_the_command_line_shows_stacks(program)
    check_the_one_that_boasts(program)
    check_the_one_that_babbles(program)


def check_the_one_that_boasts(program: Program) -> None:
    """A frame over the limit: refused, counted, and the worker replaced with a clear reason."""
    last = program.worker("boast-1").last_restart
    assert last is not None
    assert last.cause == "crash"
    assert "a frame of 1,000,000,000 bytes is over the limit of 33,554,432" in last.why
    assert program.worker("boast-1").unreadable_frames == 1


def check_the_one_that_babbles(program: Program) -> None:
    """Small frames that mean nothing are passed over, counted, and told now and then."""
    lines = program.lines("message unreadable, passed over", worker="babble-1")
    assert [line["so_far"] for line in lines] == [1, 10]
    assert program.worker("babble-1").unreadable_frames == 12


def assert_it_hung(program: Program, deed: str) -> None:
    """It is said, and in which function, unless the worker was stopped altogether."""
    told = incident(program, deed)
    assert told.cause == "hang"
    assert SILENT <= seconds_in(told.why) < SILENT + LATE
    assert ("process" if deed == "stop" else f"in _{deed}") in told.stack


def check_that_the_command_line_shows_stacks(program: Program) -> None:
    shown = program.cli("workers", "hold-1").stdout
    told = json.loads(program.cli("workers", "hold-1", "--json").stdout)

    assert "in _hold" in shown
    assert "hang" in shown
    assert told["worker"]["id"] == "hold-1"
    assert "in _hold" in told["incidents"][-1]["stack"]


def incident(program: Program, deed: str) -> Incident:
    """Return why a worker was restarted first."""
    with Client(program.socket) as client:
        return client.incidents(f"{deed}-1", 10)[-1]


def seconds_in(why: str) -> float:
    """Return the first duration that a reason names."""
    found = re.search(r"for ([\d.]+) s", why)
    assert found, why
    return float(found[1])


def took(act: Callable[[], object]) -> float:
    """Return how many seconds something took."""
    began = time.monotonic()
    act()
    return time.monotonic() - began
