"""Around the start of a program: what is imported is not looked through again and again."""

import gc
from collections.abc import Iterator

import pytest

from consumers import garbage


@pytest.fixture(autouse=True)
def _collector_as_it_was() -> Iterator[None]:
    usual = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*usual)


def test_while_modules_are_imported_it_is_looked_for_rarely_and_then_as_usual() -> None:
    usual = gc.get_threshold()

    garbage.spare()
    meanwhile = gc.get_threshold()
    garbage.settle()

    assert meanwhile == (garbage.RARELY, *usual[1:])
    assert gc.get_threshold() == usual


def test_what_is_there_when_it_settles_is_not_looked_at_again() -> None:
    garbage.settle()
    later = [list[int]() for _ in range(10)]

    assert gc.get_freeze_count() > 1000
    assert any(found is later for found in gc.get_objects())
