"""How long finished jobs stay."""

from datetime import timedelta

import pytest

from supervisor.core.retention import FLOOR, Rule, oldest_kept
from tests.support.clocks import START as NOW

DAY = timedelta(days=1)


def test_without_a_rule_everything_stays() -> None:
    assert Rule().is_for_ever
    assert oldest_kept(Rule(), None, NOW) is None


def test_what_is_too_old_goes_and_what_is_one_too_many() -> None:
    by_age, by_count = Rule(age=30 * 86_400), Rule(count=10)
    surplus = NOW - 5 * DAY

    assert oldest_kept(by_age, None, NOW) == NOW - 30 * DAY
    assert oldest_kept(by_count, None, NOW) is None
    before = oldest_kept(by_count, surplus, NOW)
    assert before is not None
    assert before > surplus
    assert oldest_kept(Rule(30 * 86_400, 10), surplus, NOW) == before


@pytest.mark.parametrize("rule", [Rule(age=3600.0), Rule(count=1), Rule(1.0, 1)])
def test_nothing_goes_before_a_second_publish_of_its_id_is_unlikely(rule: Rule) -> None:
    """A row younger than a day is what such a message is recognised by."""
    assert oldest_kept(rule, NOW - timedelta(minutes=1), NOW) == NOW - FLOOR
