"""Tables on a small terminal: what other verbs take is never cut, what explains gives way."""

import io

import msgspec
import pytest
from rich.console import Console, RenderableType

from consumers.jobs import Priority
from consumers.retry import RetryPolicy
from supervisor.cli.checks import Answer, Level
from supervisor.cli.examination import say
from supervisor.cli.jobs_table import jobs_table
from supervisor.cli.ledgers import described
from supervisor.cli.letters_table import groups_table, letters_table
from supervisor.cli.retrying import retries_table
from supervisor.cli.scheduling import schedules_table
from supervisor.cli.screen import span
from supervisor.core.records import JobRecord, JobState
from supervisor.core.retries import RetryRow
from supervisor.core.schedules import Missed
from supervisor.desks.letters import ErrorGroup, Letter
from supervisor.desks.retries import RetriesView
from supervisor.desks.schedules import ScheduleView
from supervisor.ledger.survey import LedgerView
from tests.support.control import NOW

WHY = "cannot reach media.example.com: timed out, and so did the three others"
GROUP = ErrorGroup("bad_message-9ecb26a1", "q", "download", 397, NOW, NOW, "network", WHY, "a")
LETTER = Letter("4a7326ac4824474cb96264cf5a9166c9", "download", "q", GROUP.group, "network", WHY)


def drawn(picture: RenderableType, *, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(picture)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_name_of_a_group_and_how_many_there_are_stay_whole() -> None:
    head, _, line, *_ = drawn(groups_table([GROUP]))

    assert head.split()[:5] == ["Group", "Jobs", "First", "Last", "Pool"]
    assert line.split()[:2] == [GROUP.group, "397"]
    assert line.endswith("…")


def test_a_dead_letter_is_listed_by_an_id_that_show_takes() -> None:
    letter = msgspec.structs.replace(LETTER, sender="ana@example.com", failed_at=NOW)

    head, _, line = drawn(letters_table([letter], narrow=True))

    assert head.split()[:4] == ["Job", "Pool", "From", "Failed"]
    assert line.split()[:3] == ["4a7326ac4824", "download", "ana@example.com"]
    assert "cannot reach" in line


def test_one_endless_id_leaves_room_for_the_other_columns() -> None:
    job = JobRecord("x" * 200, "toy", "q", JobState.COMPLETED, Priority.NORMAL, {})

    _, _, line = drawn(jobs_table([job]), width=160)

    assert line.split()[1:] == ["toy", "completed"]


def test_the_name_of_a_schedule_stays_whole() -> None:
    runs = ("2026-11-22T10:00:00+00:00",)
    view = ScheduleView(
        "news-of-the-night",
        "download",
        {},
        "0 3 * * *",
        None,
        "Europe/Lisbon",
        Priority.NORMAL,
        Missed.SKIP,
        100,
        paused=False,
        source="api",
        created_at=NOW,
        last_at=NOW,
        next_at=NOW,
        next_runs=runs,
    )

    _, _, line = drawn(schedules_table([view], narrow=True))

    assert line.split()[0] == "news-of-the-night"
    assert " 11-22 10:0" in line


@pytest.mark.parametrize("width", [80, 160])
def test_bars_take_the_room_that_numbers_leave(width: int) -> None:
    view = RetriesView("download", "q", RetryPolicy(), (RetryRow(1, completed=7),))

    _, head, _, line = drawn(retries_table(view, width=width), width=width)

    assert head.split()[:6] == ["Attempts", "Completed", "Failed", "Other", "Active", "Waiting"]
    assert line.count("█") == min(40, width - 54)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0002, "1ms"), (0.008, "8ms"), (0.5, "0.5s"), (0, "0s"), (7380, "2h 3m")],
)
def test_what_was_quick_did_not_take_no_time(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_queues_of_a_ledger_stand_below_each_other() -> None:
    jobs = {"a": {"failed": 1}, "a_long_queue_name": {"failed": 2}}
    view = LedgerView("l", "SQLite", "1", "1", 0, 1, jobs)

    *_, one, other = described(view).splitlines()

    assert one.index("1 failed") == other.index("2 failed")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_the_doctor_says_stays_in_its_column_on_a_terminal(*, is_terminal: bool) -> None:
    heard = io.StringIO()
    console = Console(
        file=heard, width=40, highlight=False, force_terminal=is_terminal, color_system=None
    )

    say(console, Answer(Level.WARN, "javascript", "YouTube will not work: node is old", "get deno"))

    first, *others, last = (line.rstrip() for line in heard.getvalue().splitlines())
    assert first.startswith("warn  javascript    YouTube")
    assert len(others) == is_terminal
    assert all(line.startswith(" " * 20) for line in [*others, last])
    assert last.endswith("-> get deno")
