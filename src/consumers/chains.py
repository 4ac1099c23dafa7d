"""What follows a job: ``then`` in its body, as its publisher wrote it.

A step names a pool. Each file that the job made becomes a job of that pool, and what follows those
is in the step itself or, where it says nothing, in their pool's own configuration. A body comes
from anywhere: whatever it says, it is read in few steps, and every refusal names its place.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from consumers.errors import MalformedError

THEN = "then"  # of a body

FILES = "files"
INTO = "filePath"  # what the built-in processors call their input
RESULT = "result"  # the field instead, where there is no entry but the whole result

MOST_LEVELS = 8  # steps below steps
MOST_STEPS = 20  # in all, whatever their level
LONGEST = 200  # characters of a type, a path, or the name of a field
INHERITED = ("from", "userId", "noreply")  # fields that a job has from the one before it
POOL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
POOL_RULE = (
    "is no name for a pool; letters, digits, - and _ are allowed, a letter first, "
    "63 characters at most"
)

_FIELDS = ("pool", "type", "each", "into", "data", THEN)
_PATH = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_SHAPES = 'must be the name of a pool, a step like {"pool": "preview"}, or a list of them'
_KINDS = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number"}

Wrong = tuple[str, str]  # the field, and what is wrong with it


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that follows a completed job.

    ``each`` names the list in the result whose entries become jobs (``files``, or a path such as
    ``data.items``); empty: one job, whatever the result is. ``into`` is the field of the new job's
    body that has the entry; ``data`` are its other fields. ``then`` None: as its pool has it.
    """

    pool: str
    type: str = ""  # which of the pool's kinds of jobs, where it has several
    each: str = FILES
    into: str = INTO
    data: Mapping[str, object] = {}
    then: "tuple[Step, ...] | None" = None


def steps_of(body: Mapping[str, object]) -> tuple[Step, ...] | None:
    """Return what a body says is to follow; None if it says nothing.

    Raises:
        MalformedError: naming the field and what was expected of it.
    """
    if body.get(THEN) is None:
        return None
    steps, wrong = read(body[THEN])
    for field, why in wrong:
        raise MalformedError(field, why)
    return steps


def read(said: object) -> tuple[tuple[Step, ...], tuple[Wrong, ...]]:
    """Return the steps that something says, and everything that is wrong with it."""
    reader = _Reader()
    steps = reader.steps(said, THEN, level=1)
    return steps, tuple(reader.wrong)


def written(steps: tuple[Step, ...]) -> list[dict[str, object]]:
    """Return steps as a body says them: read again, they are the same."""
    return [_plain(step) for step in steps]


def places(
    steps: tuple[Step, ...], said: object, at: str = THEN
) -> Iterator[tuple[str, str, Step]]:
    """Yield every step at every level, with its place and that of its pool, as it was said."""
    items = said if isinstance(said, list) else [said]
    for number, (step, item) in enumerate(zip(steps, items, strict=False)):
        here = f"{at}[{number}]" if isinstance(said, list) else at
        has_fields = isinstance(item, Mapping)
        yield here, f"{here}.pool" if has_fields else here, step
        if step.then and isinstance(item, Mapping):
            yield from places(step.then, item.get(THEN), f"{here}.{THEN}")


class _Reader:
    """Reads steps, and goes on after a mistake until there are too many of either."""

    def __init__(self) -> None:
        self.wrong: list[Wrong] = []
        self._count = 0

    def steps(self, said: object, at: str, *, level: int) -> tuple[Step, ...]:
        items = said if isinstance(said, list) else [said]
        if items and level > MOST_LEVELS:
            self._refuse(at, f"is {level} levels deep, at most {MOST_LEVELS} are allowed")
            return ()
        self._count += len(items)
        if self._count > MOST_STEPS:
            many = f"at least {self._count:,}" if level > 1 else f"{self._count:,}"
            self._refuse(at, f"comes to {many} steps, at most {MOST_STEPS} are allowed in all")
            return ()
        named = [
            (item, f"{at}[{number}]" if isinstance(said, list) else at)
            for number, item in enumerate(items)
        ]
        found = [self._step(item, place, level) for item, place in named]
        return tuple(step for step in found if step is not None)

    def _step(self, said: object, at: str, level: int) -> Step | None:
        named = f"{at}.pool"
        if isinstance(said, str):
            said, named = {"pool": said}, at
        elif not isinstance(said, dict):
            self._refuse(at, f"{_SHAPES}, is {_kind(said)}")
            return None
        else:
            self._check_fields(said, at)
        each = self._each(said, at)
        into = self._into(said, at, INTO if each else RESULT)
        then = said.get(THEN)
        return Step(
            pool=self._pool(said, at, named),
            type=self._type(said, at),
            each=each,
            into=into,
            data=self._data(said, at, into),
            then=None if then is None else self.steps(then, f"{at}.{THEN}", level=level + 1),
        )

    def _check_fields(self, said: Mapping[str, object], at: str) -> None:
        strange = [name for name in said if name not in _FIELDS]
        if strange:
            self._refuse(
                f"{at}.{_shown(strange[0])}",
                f"is no field of a step; there are {', '.join(_FIELDS)}",
            )

    def _pool(self, said: Mapping[str, object], at: str, named: str) -> str:
        if said.get("pool") is None:
            self._refuse(f"{at}.pool", "is missing; name the pool that has the next jobs")
            return ""
        name = self._text(said, at, "pool")
        if name is not None and not POOL_NAME.fullmatch(name):
            self._refuse(named, f"{_quoted(name)} {POOL_RULE}")
        return name or ""

    def _type(self, said: Mapping[str, object], at: str) -> str:
        found = self._text(said, at, "type") or ""
        if len(found) > LONGEST or not found.isprintable():
            self._refuse(f"{at}.type", f"must be at most {LONGEST} printable characters")
        return found

    def _each(self, said: Mapping[str, object], at: str) -> str:
        found = self._text(said, at, "each")
        if found and (len(found) > LONGEST or not _PATH.fullmatch(found)):
            why = f"must be {FILES}, the path of a list in the result like data.items"
            self._refuse(f"{at}.each", f'{why}, or "" for one job, is {_quoted(found)}')
        return FILES if found is None else found

    def _into(self, said: Mapping[str, object], at: str, default: str) -> str:
        found = self._text(said, at, "into")
        if found is None:
            return default
        if not 0 < len(found) <= LONGEST or not found.isprintable():
            self._refuse(f"{at}.into", f"must be 1 to {LONGEST} printable characters")
        elif found in _OURS:
            self._refuse(f"{at}.into", f"cannot be {found}; {_OURS[found]}")
        return found

    def _data(self, said: Mapping[str, object], at: str, into: str) -> Mapping[str, object]:
        data = said.get("data")
        if data is None:
            return {}
        if not isinstance(data, dict):
            self._refuse(f"{at}.data", f"must be an object, is {_kind(data)}")
            return {}
        for name, why in _OURS.items():
            if name in data:
                self._refuse(f"{at}.data.{name}", f"cannot be said here; {why}")
        if into in data:
            why = "is the field that has the entry; name another one with into"
            self._refuse(f"{at}.data.{_shown(into)}", why)
        return data

    def _text(self, said: Mapping[str, object], at: str, name: str) -> str | None:
        found = said.get(name)
        if found is None or isinstance(found, str):
            return found
        self._refuse(f"{at}.{name}", f"must be text, is {_kind(found)}")
        return None

    def _refuse(self, field: str, why: str) -> None:
        self.wrong.append((field, why))


_FROM_BEFORE = "a job has it from the one before it"
_OURS = dict.fromkeys(INHERITED, _FROM_BEFORE) | {
    "type": "say it as type of the step",
    THEN: "say it as then of the step",
}


def _plain(step: Step) -> dict[str, object]:
    default = INTO if step.each else RESULT
    said: dict[str, object] = {
        "pool": step.pool,
        **({"type": step.type} if step.type else {}),
        **({"each": step.each} if step.each != FILES else {}),
        **({"into": step.into} if step.into != default else {}),
        **({"data": step.data} if step.data else {}),
    }
    return said if step.then is None else {**said, THEN: written(step.then)}


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return "true or false" if isinstance(value, bool) else _KINDS.get(type(value), "something else")


def _quoted(text: str) -> str:
    return "an address" if "://" in text else f"{text[:40]!r}"  # it may hold a password


def _shown(name: str) -> str:
    """Return a foreign name fit for a sentence: on one line, and not endless."""
    return name if name.isprintable() and len(name) <= 40 else ascii(name[:40])
