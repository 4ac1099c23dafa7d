"""Outcomes as they travel and as they are shown."""

import msgspec

from consumers.outcome import Failure


def test_a_failure_always_says_its_code_its_hint_and_whether_it_is_for_good() -> None:
    assert msgspec.to_builtins(Failure("no route to host")) == {
        "message": "no route to host",
        "code": "failed",
        "hint": "",
        "permanent": False,
    }
