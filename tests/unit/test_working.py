"""`work`: what is asked for, what is said of it, and how the command ends."""

from dataclasses import replace

import click
import pytest

from supervisor.cli.exits import ExitCode
from supervisor.cli.working import Request, code, wish_of, words
from supervisor.core.on_demand import Summary, Wish

DONE = Summary("email", running=False, ended="empty", why="the queue is empty", waiting=0)
REQUEST = Request(pool="email")


def test_nothing_said_means_until_the_queue_is_empty() -> None:
    assert wish_of(REQUEST) == Wish()


def test_the_options_are_the_wish() -> None:
    request = replace(REQUEST, max_jobs=5, max_seconds="1m30s", until_empty=False, instances=2)

    assert wish_of(request) == Wish(max_jobs=5, max_seconds=90.0, until_empty=False, instances=2)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (replace(REQUEST, max_seconds="soon"), "--max-seconds: must be a time"),
        (replace(REQUEST, max_seconds="0"), "--max-seconds: must be above 0"),
        (replace(REQUEST, until_empty=False), "--wait: nothing else ends the run"),
    ],
)
def test_an_option_that_is_wrong_is_named(request_: Request, said: str) -> None:
    with pytest.raises(click.UsageError, match=said):
        wish_of(request_)


@pytest.mark.parametrize(
    ("ended", "failed", "expected"),
    [
        ("empty", 0, ExitCode.DONE),
        ("jobs", 0, ExitCode.DONE),
        ("time", 0, ExitCode.DONE),
        ("empty", 1, ExitCode.JOBS_FAILED),
        ("workers", 1, ExitCode.FAILED),
        ("workers", 0, ExitCode.FAILED),
        ("stopped", 0, ExitCode.FAILED),
        ("broker", 0, ExitCode.NO_BROKER),
    ],
)
def test_the_exit_code_tells_how_it_went(ended: str, failed: int, expected: ExitCode) -> None:
    summary = Summary("email", running=False, ended=ended, failed=failed)

    assert code(summary) is expected


@pytest.mark.parametrize("failed", [0, 1])
def test_what_is_not_published_is_told_and_is_no_success(failed: int) -> None:
    summary = Summary("email", running=False, ended="empty", failed=failed, unpublished=7)

    assert code(summary) is ExitCode.NO_BROKER
    assert "not published yet, as the broker did not take them: 7 jobs" in words(summary)


def test_a_summary_is_a_few_lines() -> None:
    summary = Summary(
        "email",
        running=False,
        why="50 s have passed",
        completed=3,
        failed=1,
        retried=2,
        delayed=1,
        seconds=50.04,
        failures=("7f3",),
    )

    assert words(summary).splitlines() == [
        "email: 3 completed, 1 failed, 2 retries, in 50.0 s; "
        "left: nobody knows how many waiting, 1 delayed",
        "ended because 50 s have passed",
        "failed: 7f3",
    ]
    assert "left: 0 waiting, 0 delayed" in words(DONE)
