"""How deeply values lie in each other, counted without a stack."""

from collections.abc import Iterable, Mapping, Sequence


def at_level(value: object, number: int) -> Sequence[object]:
    """Return all that lies inside so many lists and objects of a value, and in no fewer."""
    level: list[object] = [value]
    for _ in range(number):
        level = [inner for each in level for inner in _within(each)]
    return level


def _within(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
