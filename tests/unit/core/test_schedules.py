"""When schedules run: cron lines in their zones, equal steps, and what was missed."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.schedules import (
    COUNTED,
    EPOCH,
    LONGEST_LINE,
    TARDY,
    Missed,
    RhythmError,
    Timetable,
    cron,
    every,
    is_name,
    look,
    moment_in,
    next_run,
    revised,
    run_id,
    upcoming,
)

ZONES = ("Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
LINES = ("30 1 * * *", "0,30 1 * * *", "*/20 1-3 * * *", "15 2 * * 0", "0 3 L * *", "* * * * *")
NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)


def local(line: str, zone: str, after: datetime, count: int) -> list[str]:
    """The next moments of a line, as its zone's own clocks show them."""
    return [moment_in(each, zone) for each in upcoming(cron(line, zone), after, count)]


def at(zone: str, *parts: int, fold: int = 0) -> datetime:
    """A moment that a zone's clocks show, in UTC; `fold=1` when they show it the second time."""
    year, month, day, hour, minute = parts
    wall = datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone), fold=fold)
    return wall.astimezone(UTC)


# --- cron lines -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "before", "line", "runs"),
    [
        pytest.param(
            "Europe/Lisbon",
            (2026, 3, 28, 12, 0),
            "30 1 * * *",
            ["2026-03-29T02:00:00+01:00", "2026-03-30T01:30:00+01:00"],
            id="lisbon",
        ),
        pytest.param(
            "America/New_York",
            (2026, 3, 7, 12, 0),
            "30 2 * * *",
            ["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"],
            id="new york",
        ),
        pytest.param(
            "Australia/Lord_Howe",  # half an hour
            (2026, 10, 3, 12, 0),
            "15 2 * * *",
            ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"],
            id="lord howe",
        ),
    ],
)
def test_a_moment_that_the_clocks_leap_over_runs_when_they_have_leapt(
    zone: str, before: tuple[int, ...], line: str, runs: list[str]
) -> None:
    assert local(line, zone, at(zone, *before), 2) == runs


@pytest.mark.parametrize(
    ("zone", "before", "line", "runs"),
    [
        pytest.param(
            "Europe/Lisbon",
            (2026, 10, 24, 12, 0),
            "30 1 * * *",
            ["2026-10-25T01:30:00+01:00", "2026-10-26T01:30:00+00:00"],
            id="lisbon",
        ),
        pytest.param(
            "America/Santiago",
            (2026, 4, 4, 12, 0),
            "30 23 * * *",
            ["2026-04-04T23:30:00-03:00", "2026-04-05T23:30:00-04:00"],
            id="santiago",
        ),
        pytest.param(
            "Australia/Lord_Howe",
            (2026, 4, 4, 12, 0),
            "45 1 * * *",
            ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"],
            id="lord howe",
        ),
    ],
)
def test_a_moment_that_comes_twice_runs_once(
    zone: str, before: tuple[int, ...], line: str, runs: list[str]
) -> None:
    assert local(line, zone, at(zone, *before), 2) == runs


def test_in_the_second_of_two_equal_hours_the_next_run_is_not_one_that_has_passed() -> None:
    again = at("Europe/Lisbon", 2026, 10, 25, 1, 10, fold=1)

    assert local("30 1 * * *", "Europe/Lisbon", again, 1) == ["2026-10-26T01:30:00+00:00"]


def test_what_runs_all_day_runs_in_both_of_two_equal_hours_and_not_in_one_that_is_not() -> None:
    autumn, spring = (
        at("Europe/Lisbon", 2026, 10, 25, 0, 45),
        at("Europe/Lisbon", 2026, 3, 29, 0, 15),
    )

    assert local("*/30 * * * *", "Europe/Lisbon", autumn, 5) == [
        "2026-10-25T01:00:00+01:00",
        "2026-10-25T01:30:00+01:00",
        "2026-10-25T01:00:00+00:00",
        "2026-10-25T01:30:00+00:00",
        "2026-10-25T02:00:00+00:00",
    ]
    assert local("*/30 * * * *", "Europe/Lisbon", spring, 2) == [
        "2026-03-29T00:30:00+00:00",
        "2026-03-29T02:00:00+01:00",
    ]


@given(
    line=st.sampled_from(LINES),
    zone=st.sampled_from(ZONES),
    second=st.integers(1_770_000_000, 1_830_000_000),
)
def test_runs_follow_each_other_and_are_those_of_cronsim(line: str, zone: str, second: int) -> None:
    after = datetime.fromtimestamp(second, UTC)

    runs = upcoming(cron(line, zone), after, 20)

    said = (each.astimezone(UTC) for each in CronSim(line, after.astimezone(ZoneInfo(zone))))
    assert list(runs) == [each for each in itertools.islice(said, 30) if each > after][:20]
    assert all(one < other for one, other in itertools.pairwise((after, *runs)))
    assert all(
        next_run(cron(line, zone), each - timedelta(microseconds=1)) == each for each in runs
    )


def test_six_fields_begin_with_seconds_and_nicknames_are_known() -> None:
    assert local("*/15 * * * * *", "UTC", NOW, 1) == ["2026-11-22T12:00:45+00:00"]
    assert local("@daily", "Asia/Kathmandu", NOW, 1) == ["2026-11-23T00:00:00+05:45"]


@pytest.mark.parametrize(
    ("line", "zone", "field", "said"),
    [
        ("61 * * * *", "UTC", "cron", "bad minute"),
        ("* * *", "UTC", "cron", "wrong number of fields"),
        ("0 0 30 2 *", "UTC", "cron", "bad day-of-month"),
        ("* * */20 * 1L", "UTC", "cron", "never comes"),
        ("9" * 5000, "UTC", "cron", f"at most {LONGEST_LINE} characters"),
        ("", "UTC", "cron", "wrong number of fields"),
        ("* * * * *", "Europe/Lissabon", "zone", "no time zone this machine knows"),
        ("* * * * *", "../../etc/passwd", "zone", "no time zone"),
        ("* * * * *", "", "zone", "no time zone"),
    ],
)
def test_a_line_or_zone_that_cannot_be_is_refused_by_its_field(
    line: str, zone: str, field: str, said: str
) -> None:
    with pytest.raises(RhythmError, match=said) as refused:
        cron(line, zone)

    assert refused.value.field == field


@given(st.text(alphabet="0123456789*/,-#LWMONSUa @٣", max_size=30))
def test_any_text_is_a_rhythm_or_refused(line: str) -> None:
    try:
        rhythm = cron(line, "Europe/Lisbon")
    except RhythmError:
        return

    assert next_run(rhythm, NOW) is not None


# --- equal steps ----------------------------------------------------------------------------


def test_equal_steps_are_counted_from_1970_so_that_all_agree() -> None:
    assert upcoming(every(30), NOW, 2) == (NOW + timedelta(seconds=30), NOW + timedelta(seconds=60))
    assert next_run(every(86_400), NOW) == datetime(2026, 11, 23, tzinfo=UTC)


@given(st.floats(1.0, 1e6), st.integers(0, 2_000_000_000_000_000))
def test_a_step_comes_after_its_moment_and_no_later_than_a_step(period: float, number: int) -> None:
    after, rhythm = EPOCH + timedelta(microseconds=number), every(period)

    found = next_run(rhythm, after)

    assert found is not None
    assert after < found <= after + rhythm.period
    assert (found - EPOCH) % rhythm.period == timedelta(0)


@pytest.mark.parametrize("seconds", [0.0, 0.5, -3.0, 1e9, float("nan")])
def test_steps_too_short_or_too_long_are_refused(seconds: float) -> None:
    with pytest.raises(RhythmError, match="must be 1 s to"):
        every(seconds)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (Timetable("p"), "say one of cron and every"),
        (Timetable("p", cron="@daily", every=3.0), "either cron or every"),
    ],
    ids=["neither", "both"],
)
def test_a_timetable_says_either_a_line_or_a_step(said: Timetable, wrong: str) -> None:
    with pytest.raises(RhythmError, match=wrong):
        _ = said.rhythm


# --- what is due ----------------------------------------------------------------------------

STEPS = Timetable("p", every=30.0)
CAUGHT = Timetable("p", every=30.0, missed=Missed.CATCH_UP, at_most=3)
MINUTES = Timetable("p", cron="* * * * *", missed=Missed.CATCH_UP, at_most=3)


def test_a_run_whose_moment_has_come_is_entered() -> None:
    due = look(STEPS, NOW, now=NOW + timedelta(seconds=0.2))

    assert (due.runs, due.left_out, due.next_at) == ((NOW,), 0, NOW + timedelta(seconds=30))


def test_a_run_that_is_a_little_late_is_no_missed_one() -> None:
    noon, table = NOW.replace(second=0), Timetable("p", cron="0 12 * * *")

    assert look(table, noon, now=noon + TARDY).runs == (noon,)
    assert look(table, noon, now=noon + TARDY + timedelta(seconds=1)).runs == ()


def test_skipped_runs_are_counted_and_only_a_fresh_one_is_entered() -> None:
    fresh = look(STEPS, NOW, now=NOW + timedelta(seconds=100))
    stale = look(
        Timetable("p", cron="0 * * * *"),
        NOW.replace(minute=0, second=0),
        now=NOW + timedelta(hours=2, minutes=30),
    )

    assert (fresh.runs, fresh.left_out) == ((NOW + timedelta(seconds=90),), 3)
    assert (stale.runs, stale.left_out) == ((), 3)
    assert stale.next_at == datetime(2026, 11, 22, 15, tzinfo=UTC)


@pytest.mark.parametrize(("table", "step"), [(CAUGHT, 30), (MINUTES, 60)])
def test_of_missed_runs_the_newest_are_caught_up_with(table: Timetable, step: int) -> None:
    first = next_run(table.rhythm, NOW)
    assert first is not None
    moments = [first + timedelta(seconds=step * n) for n in range(10)]

    due = look(table, first, now=moments[-1] + timedelta(seconds=1))

    assert list(due.runs) == moments[-3:]
    assert due.left_out == 7
    assert due.next_at == moments[-1] + timedelta(seconds=step)


def test_after_a_long_absence_not_every_missed_run_is_counted() -> None:
    now = NOW + timedelta(days=400)

    due = look(MINUTES, NOW.replace(second=0), now=now)

    assert due.left_out == COUNTED - 3
    assert due.runs == tuple(now.replace(second=0) - timedelta(minutes=n) for n in (2, 1, 0))


def test_after_a_long_absence_the_newest_runs_are_found_in_an_hour_that_comes_twice_too() -> None:
    table = Timetable(
        "p", cron="0-59 0-23 * * *", zone="Europe/Lisbon", missed=Missed.CATCH_UP, at_most=2
    )
    again = at("Europe/Lisbon", 2026, 10, 25, 1, 10, fold=1)

    due = look(table, at("Europe/Lisbon", 2026, 10, 1, 0, 0), now=again)

    assert [moment_in(each, table.zone) for each in due.runs] == [
        "2026-10-25T01:58:00+01:00",
        "2026-10-25T01:59:00+01:00",
    ]


@given(
    line=st.sampled_from([*LINES, "*/17 * * * * *", "0 */2 * * *"]),
    zone=st.sampled_from(ZONES),
    second=st.integers(1_770_000_000, 1_830_000_000),
    span=st.integers(0, 3_000_000),
    most=st.integers(1, 50),
)
def test_no_run_is_lost_or_doubled_however_late_somebody_looks(
    line: str, zone: str, second: int, span: int, most: int
) -> None:
    table = Timetable("p", cron=line, zone=zone, missed=Missed.CATCH_UP, at_most=most)
    since = next_run(table.rhythm, datetime.fromtimestamp(second, UTC))
    assert since is not None
    now = since + timedelta(seconds=span)

    due = look(table, since, now=now)

    following = upcoming(table.rhythm, due.runs[0] - timedelta(seconds=1), len(due.runs) + 1)
    assert (*due.runs, due.next_at) == following
    assert since <= due.runs[0]
    assert due.runs[-1] <= now
    assert due.left_out == 0 or len(due.runs) == most


def test_a_clock_that_is_put_back_brings_the_next_run_forward() -> None:
    far = NOW + timedelta(days=1500)  # as a wrong clock had it

    assert revised(STEPS, far, now=NOW) == NOW + timedelta(seconds=30)
    assert revised(STEPS, NOW, now=NOW) == NOW  # what is due stays due
    assert revised(STEPS, None, now=NOW) == NOW + timedelta(seconds=30)


# --- names ----------------------------------------------------------------------------------


def test_a_run_is_named_by_its_moment_in_utc() -> None:
    moment = datetime(2026, 7, 1, 3, 0, tzinfo=ZoneInfo("Europe/Lisbon"))

    assert run_id("nightly", moment) == "schedule:nightly:2026-07-01T02:00:00Z"


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("nightly-2", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("", False),
        ("a:b", False),
        ("2x", False),
        ("á", False),
    ],
)
def test_names_fit_into_ids_and_addresses(name: str, fits: bool) -> None:  # noqa: FBT001
    assert is_name(name) == fits
