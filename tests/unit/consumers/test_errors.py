"""What processors raise, said in whatever way people say it: no job is left without an end."""

from datetime import timedelta
from typing import Any

import pytest

from workers.processor import Reject, Retry


@pytest.mark.parametrize("after", [90, 90.0, timedelta(seconds=90)])
def test_a_delay_is_seconds_or_a_timedelta(after: Any) -> None:
    assert Retry("busy", after=after).after == 90.0


@pytest.mark.parametrize("after", ["soon", [60], object()])
def test_a_delay_that_is_none_is_refused_where_it_was_written(after: Any) -> None:
    with pytest.raises(TypeError, match="after: must be a number of seconds, like 60, is"):
        Retry("busy", after=after)


def test_a_delay_too_great_to_be_said_is_refused_too() -> None:
    with pytest.raises(OverflowError):
        Retry("busy", after=10**400)


def test_the_reason_may_be_an_error() -> None:
    why: Any = ValueError("no such user")

    refused = Reject(why, code=404, hint=None)  # type: ignore[arg-type]  # as people write it

    assert (refused.message, refused.code, refused.hint) == ("no such user", "404", "")
