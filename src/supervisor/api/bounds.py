"""What the description says of values beyond their types: from where to where, and which words.

The desks refuse what lies outside, each in its own words.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from consumers.jobs import LONGEST_TYPE, Priority
from supervisor.api.wire import IDEMPOTENCY_KEY
from supervisor.core.bounds import (
    FASTEST,
    LONGEST_AGE,
    LONGEST_ID,
    LONGEST_TTL,
    LONGEST_WHY,
    MOST_ATTEMPTS,
    MOST_CAUGHT_UP,
    MOST_WORKERS,
    SLOWEST,
)
from supervisor.core.delays import FURTHEST
from supervisor.core.log_lines import LEVELS
from supervisor.core.on_demand import LONGEST
from supervisor.core.records import FINAL, JobState
from supervisor.core.schedules import LONGEST_LINE, LONGEST_PERIOD, SHORTEST_PERIOD

Schema = Mapping[str, Any]

_RATE = {"minimum": SLOWEST, "maximum": FASTEST, "description": "Jobs a second"}
_SINCE = {"minimum": 0, "description": "Seconds since they failed"}
_AGE = {**_SINCE, "maximum": LONGEST_AGE}
_COUNT = {"minimum": 1}
_NAME = "[A-Za-z][A-Za-z0-9_-]{0,62}"  # of a schedule
NEW_NAME = f"^{_NAME}$"
_TEXT = {"pattern": r"^[^\u0000]*$"}
_ID = {  # more than this is taken: whatever is printable
    "minLength": 1,
    "maxLength": LONGEST_ID,
    "pattern": r"^[!-\-/-~][!-~]*$",
}
_CHOSEN: Mapping[str, Schema] = {"older": _AGE, "newer": _AGE, "limit": _COUNT}
_WISH: Mapping[str, Schema] = {
    "maxJobs": _COUNT,
    "maxSeconds": {"exclusiveMinimum": 0, "maximum": LONGEST},
    "instances": {"minimum": 1, "maximum": MOST_WORKERS},
}
SHAPES: Mapping[str, Mapping[str, Schema]] = {
    "Order": {
        "id": _ID,
        "delay": {"minimum": 0, "maximum": FURTHEST, "description": "Seconds; not with runAt"},
        "name": _TEXT | {"maxLength": LONGEST_TYPE // 4},  # characters, of any bytes
        "maxAttempts": {"minimum": 1, "maximum": MOST_ATTEMPTS},
    },
    "Deduplicate": {
        "key": _TEXT | {"minLength": 1, "maxLength": LONGEST_ID},
        "ttl": {"exclusiveMinimum": 0, "maximum": LONGEST_TTL, "description": "Seconds"},
    },
    "Wish": _WISH,
    "AnyWish": _WISH,
    "Instances": {"instances": {"minimum": 0, "maximum": MOST_WORKERS}},
    "PauseOrder": {"why": _TEXT | {"maxLength": LONGEST_WHY}},
    "CleanOrder": {
        "state": {"enum": sorted(state.value for state in FINAL)},
        "age": {"minimum": 0, "description": "Seconds since they ended"},
        "limit": _COUNT,
    },
    "RetryOrder": {
        "older": _SINCE,
        "newer": _SINCE,
        "limit": _COUNT,
        "rate": {"minimum": SLOWEST, "description": "Jobs a second"},
        "after": {"minimum": 0},
    },
    "Chosen": _CHOSEN,
    "ReplayOrder": {**_CHOSEN, "rate": _RATE},
    "ScheduleOrder": {
        "name": {"pattern": f"^({_NAME})?$"},  # the address names it, too
        "cron": {"maxLength": LONGEST_LINE, "description": "Or every; one of the two"},
        "every": {"minimum": SHORTEST_PERIOD, "maximum": LONGEST_PERIOD, "description": "Seconds"},
        "atMost": {"minimum": 1, "maximum": MOST_CAUGHT_UP},
    },
}
URGENT = ("Order", "PriorityOrder", "ScheduleOrder")  # what says a priority
_ALL: Schema = {"const": True}
_SOME: Schema = {"const": False}
_WORDS = ("pool", "group", "code", "from", "text")  # of which any chooses dead letters
_AGES = ("older", "newer")
_ONE_OF_THEM: Schema = {
    "anyOf": [
        {"required": ["ids"], "properties": {"ids": {"minItems": 1}, "every": _SOME}},
        *(
            {"required": [name], "properties": {name: {"type": kind}, "every": _SOME}}
            for names, kind in ((_WORDS, "string"), (_AGES, "number"))
            for name in names
        ),
        {
            "required": ["every"],
            "properties": {
                "every": _ALL,
                "ids": {"maxItems": 0},
                **{name: {"type": "null"} for name in (*_WORDS, *_AGES)},
            },
        },
    ]
}
_ENDS: Schema = {
    "anyOf": [
        {"properties": {"untilEmpty": _ALL}},
        {"required": ["maxJobs"], "properties": {"maxJobs": {"type": "integer"}}},
        {"required": ["maxSeconds"], "properties": {"maxSeconds": {"type": "number"}}},
    ]
}
# What of their fields goes together, and what must be there besides.
TOGETHER: Mapping[str, Schema] = {
    "Order": {
        "anyOf": [
            {"properties": {"runAt": {"type": "null"}}},
            {"properties": {"delay": {"const": 0}}},
        ]
    },
    "Wish": _ENDS,
    "AnyWish": _ENDS,
    "Chosen": _ONE_OF_THEM,
    "ReplayOrder": _ONE_OF_THEM,
    "ScheduleOrder": {
        "anyOf": [
            {
                "required": ["cron"],
                "properties": {"cron": {"type": "string"}, "every": {"type": "null"}},
            },
            {
                "required": ["every"],
                "properties": {
                    "every": {"type": "number"},
                    "cron": {"type": "null"},
                    "zone": {"const": "UTC"},
                },
            },
        ]
    },
}
PARAMETERS: Mapping[str, Schema] = {
    "state": {"enum": [*(state.value for state in JobState), "processing", None]},
    "sort": {"enum": ["newest", "oldest"]},
    "level": {"enum": list(LEVELS)},
    "older": _AGE,
    "newer": _AGE,
    "since": {"format": "date-time"},
    "until": {"format": "date-time"},
    IDEMPOTENCY_KEY: _ID,
}


def bound(schema: dict[str, Any], numbers: Collection[int]) -> None:
    """Say of every field and parameter what it may be; ``numbers`` stand for priorities here."""
    shapes = schema["components"]["schemas"]
    for name, fields in SHAPES.items():
        for field, bounds in fields.items():
            shapes[name]["properties"][field] = _narrowed(shapes[name]["properties"][field], bounds)
    for name in URGENT:
        said = shapes[name]["properties"]
        said["priority"] = _narrowed(said["priority"], _priority(numbers))
    for name, rule in TOGETHER.items():
        shapes[name] |= rule
    for parameter in _parameters(schema):
        bounds = PARAMETERS.get(parameter["name"], {})
        parameter["schema"] = _narrowed(parameter["schema"], bounds)


def _priority(numbers: Collection[int]) -> Schema:
    words = [priority.word for priority in Priority]
    why = "1 to 5, or one of the pool's priority_map"
    return {
        "anyOf": [
            {"type": "string", "enum": words},
            {"type": "integer", "enum": sorted(numbers), "description": why},
        ]
    }


def _narrowed(said: Schema, bounds: Schema) -> dict[str, Any]:
    """Return what is said of a value, with its bounds; other types than it had replace them."""
    kept = {name: said[name] for name in said if name not in {"oneOf", "type", "$ref"}}
    if "anyOf" in bounds:
        return {**kept, **bounds}
    if "$ref" in said and "enum" in bounds:
        return {**kept, "type": "string", **bounds}
    return {**said, **bounds}


def _parameters(schema: Schema) -> Iterator[dict[str, Any]]:
    for item in schema.get("paths", {}).values():
        for operation in item.values():
            if isinstance(operation, dict):
                yield from (
                    each for each in operation.get("parameters", ()) if each["in"] != "path"
                )
