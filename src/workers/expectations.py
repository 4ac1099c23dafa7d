"""What a request type expects of a job's fields, in words for people who may not know Python.

Pure. A validator names the place and one thing that is wrong; here what is allowed is added to it,
and the value that came. Fields that are merely unknown are the publisher's own, but for those that
look like one of ours spelled wrong.
"""

import difflib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import inspect

from consumers.jobs import COMMON_FIELDS
from consumers.reasons import field_and_reason

ALIKE = 0.7  # of 1: how much two names must share for one to be the other spelled wrong
LONGEST_NAME = 40  # characters of a field's name that is looked at
LONGEST_VALUE = 60  # characters of a value that is shown
MOST_REMARKS = 10

_STEPS = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_BOUND = re.compile(r"must be (a whole number|a number) [<>]")
_LACKS = re.compile(r"Object missing required field (\w+)")
_NOTHING = object()

Kinds = Sequence[inspect.Type]


def explained(
    request: type[msgspec.Struct], data: Mapping[str, object], error: msgspec.ValidationError
) -> tuple[str, str]:
    """Return the field that is wrong, and why: with what is allowed there and what came."""
    field, said = field_and_reason(error)
    if said == "is missing":
        return field, f"{said}{_meant(request, data, field)}"
    kinds, value = _at(request, data, field)
    if said.startswith("Invalid enum value"):
        return field, f"must be one of {', '.join(_choices(kinds))}, is {_shown(value)}"
    if bound := _BOUND.match(said):
        return field, f"must be {_bounded(kinds, bound[1]) or said}, is {_shown(value)}"
    if lacks := _LACKS.match(said):
        said = f"its field {lacks[1]} is missing"
    elif " matching regex " in said:
        return field, f"cannot be {_shown(value)}{_example(request, field)}"
    return field, f"{said}{_example(request, field)}"


def misspelled(request: type[msgspec.Struct], data: Mapping[str, object]) -> tuple[str, ...]:
    """Return a sentence for each unknown field that looks like a known one."""
    kinds = (_type_of(request),)
    remarks = (f"unknown field {name}: did you mean {near}?" for name, near in _strays(kinds, data))
    return tuple(remark for remark, _ in zip(remarks, range(MOST_REMARKS), strict=False))


def _meant(request: type[msgspec.Struct], data: Mapping[str, object], field: str) -> str:
    """Return which unknown field may be the missing one, spelled wrong."""
    strays = (name for name, near in _strays((_type_of(request),), data) if near == field)
    found = next(strays, "")
    return f" (did you mean {field} for {found}?)" if found else ""


@functools.cache
def _type_of(request: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(request)


def _at(request: type[msgspec.Struct], data: object, field: str) -> tuple[Kinds, object]:
    """Return what is allowed at a place, and what is there."""
    kinds: Kinds = (_type_of(request),)
    for place, name in _STEPS.findall(field):
        step = name or int(place)
        kinds = [inner for kind in kinds for inner in _inside(kind, step)]
        data = _taken(data, step)
    return kinds, data


def _inside(kind: inspect.Type, step: str | int) -> Kinds:
    match kind:
        case inspect.StructType(fields=fields):
            return [one for field in fields if field.encode_name == step for one in _flat(field)]
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return _flat(item)
        case inspect.TupleType(item_types=items) if isinstance(step, int) and step < len(items):
            return _flat(items[step])
    return ()


def _flat(kind: inspect.Type | inspect.Field) -> Kinds:
    """Return the alternatives that a kind stands for."""
    match kind:
        case inspect.Field(type=inner) | inspect.Metadata(type=inner):
            return _flat(inner)
        case inspect.UnionType(types=types):
            return [one for inner in types for one in _flat(inner)]
        case inspect.Type():
            return (kind,)
    return ()


def _taken(data: object, step: str | int) -> object:
    if isinstance(data, Mapping):
        return data.get(step, _NOTHING)
    if isinstance(data, list | tuple) and isinstance(step, int) and step < len(data):
        return data[step]
    return _NOTHING


def _choices(kinds: Kinds) -> Iterator[str]:
    for kind in kinds:
        if isinstance(kind, inspect.BoolType):
            yield from ("true", "false")
        elif isinstance(kind, inspect.LiteralType):
            yield from (str(value) for value in kind.values)
        elif isinstance(kind, inspect.EnumType):
            yield from (str(member.value) for member in kind.cls)


def _bounded(kinds: Kinds, what: str) -> str:
    """Return both bounds of the number that is allowed, nothing when it has none."""
    wanted = inspect.IntType if what == "a whole number" else inspect.FloatType
    for kind in kinds:
        if isinstance(kind, wanted):
            bounds = ((">", kind.gt), (">=", kind.ge), ("<", kind.lt), ("<=", kind.le))
            said = [f"{sign} {bound:.15g}" for sign, bound in bounds if bound is not None]
            return f"{what} {' and '.join(said)}"
    return ""


def _example(request: type[msgspec.Struct], field: str) -> str:
    """Return how the field may be written, where its type says so (``Meta(examples=...)``)."""
    top = field.partition(".")[0].partition("[")[0]
    kind = _type_of(request)
    fields = kind.fields if isinstance(kind, inspect.StructType) else ()
    shown = [one for known in fields if known.encode_name == top for one in _examples(known.type)]
    return f"; for example {msgspec.json.encode({top: shown[0]}).decode()}" if shown else ""


def _examples(kind: inspect.Type) -> Iterator[object]:
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            yield from (schema or {}).get("examples", ())
            yield from _examples(inner)
        case inspect.UnionType(types=types):
            for inner in types:
                yield from _examples(inner)
        case _:
            return


def _shown(value: object) -> str:
    """Return a foreign value on one line, as JSON writes it."""
    try:
        is_number = isinstance(value, float)  # JSON has no word for some of them
        text = repr(value) if is_number else msgspec.json.encode(value).decode()
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _strays(kinds: Kinds, data: object, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield each unknown field with the known one it resembles."""
    if kinds and isinstance(data, list | tuple):
        for place, item in enumerate(data):
            inner = [one for kind in kinds for one in _inside(kind, place)]
            yield from _strays(inner, item, f"{at}[{place}]")
    if not isinstance(data, Mapping):
        return
    known = [field for kind in kinds for field in _fields(kind)]
    names = [field.encode_name for field in known] + ([] if at else list(COMMON_FIELDS))
    free = {name.lower(): name for name in names if name not in data}
    path = f"{at}." if at else ""
    for name, value in data.items():
        inner = [one for field in known if field.encode_name == name for one in _flat(field)]
        if name in names:
            yield from _strays(inner, value, path + name)
        elif near := _nearest(name, free):
            yield path + name, near


def _fields(kind: inspect.Type) -> Sequence[inspect.Field]:
    return kind.fields if isinstance(kind, inspect.StructType) else ()


def _nearest(name: object, free: Mapping[str, str]) -> str:
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not name.isprintable():
        return ""
    near = difflib.get_close_matches(name.lower(), free, n=1, cutoff=ALIKE)
    return free[near[0]] if near else ""
