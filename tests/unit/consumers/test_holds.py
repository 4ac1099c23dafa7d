"""Holds: a consumer takes nothing new while anybody has a reason."""

from consumers.holds import Holds


def test_the_first_hold_stops_and_the_last_release_starts_again() -> None:
    holds = Holds()

    assert holds.place("disk", "full")
    assert not holds.place("operator", "paused")
    assert not holds.lift("disk")
    assert holds.lift("operator")
    assert not holds


def test_a_hold_that_is_not_there_is_lifted_without_effect() -> None:
    assert not Holds().lift("disk")


def test_every_change_is_told_once() -> None:
    told: list[dict[str, str]] = []
    holds = Holds()
    holds.changed = lambda: told.append(dict(holds.reasons))

    holds.place("disk", "full")
    holds.place("disk", "full")
    holds.place("disk", "nearly full")
    holds.lift("disk")
    holds.lift("disk")

    assert told == [{"disk": "full"}, {"disk": "nearly full"}, {}]
