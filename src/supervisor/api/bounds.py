"""What the description says of values beyond their types: from where to where, and which words.

The desks refuse what lies outside, each in its own words. Numbers with names elsewhere are compared
with those in a test.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from consumers.jobs import Priority
from supervisor.core.delays import FURTHEST
from supervisor.core.log_lines import LEVELS
from supervisor.core.on_demand import LONGEST
from supervisor.core.records import FINAL, JobState
from supervisor.core.schedules import LONGEST_LINE, LONGEST_PERIOD, SHORTEST_PERIOD

Schema = Mapping[str, Any]

MOST_WORKERS = 256
LONGEST_ID = 200
LONGEST_AGE = 100 * 365 * 86_400.0
LONGEST_TTL = 366 * 86_400
LONGEST_WHY = 500
MOST_ATTEMPTS = 1000
MOST_CAUGHT_UP = 10_000
_RATE = {"minimum": 0.001, "maximum": 1_000_000, "description": "Jobs a second"}
_SINCE = {"minimum": 0, "description": "Seconds since they failed"}
_AGE = {**_SINCE, "maximum": LONGEST_AGE}
_COUNT = {"minimum": 1}
_TEXT = {"pattern": r"^[^\u0000]*$"}
_PRIORITY = {
    "anyOf": [
        {"type": "string", "enum": [priority.word for priority in Priority]},
        {"type": "integer", "description": "1 to 5, or a number of the pool's priority_map"},
    ]
}
_CHOSEN: Mapping[str, Schema] = {"older": _AGE, "newer": _AGE, "limit": _COUNT}
_WISH: Mapping[str, Schema] = {
    "maxJobs": _COUNT,
    "maxSeconds": {"exclusiveMinimum": 0, "maximum": LONGEST},
    "instances": {"minimum": 1, "maximum": MOST_WORKERS},
}
SHAPES: Mapping[str, Mapping[str, Schema]] = {
    "Order": {
        "id": {"minLength": 1, "maxLength": LONGEST_ID},
        "priority": _PRIORITY,
        "delay": {"minimum": 0, "maximum": FURTHEST, "description": "Seconds; not with runAt"},
        "name": _TEXT,
        "maxAttempts": {"minimum": 1, "maximum": MOST_ATTEMPTS},
    },
    "Deduplicate": {
        "key": _TEXT | {"minLength": 1, "maxLength": LONGEST_ID},
        "ttl": {"exclusiveMinimum": 0, "maximum": LONGEST_TTL, "description": "Seconds"},
    },
    "PriorityOrder": {"priority": _PRIORITY},
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
        "rate": {"minimum": 0.001, "description": "Jobs a second"},
        "after": {"minimum": 0},
    },
    "Chosen": _CHOSEN,
    "ReplayOrder": {**_CHOSEN, "rate": _RATE},
    "ScheduleOrder": {
        "name": {"pattern": "^([A-Za-z][A-Za-z0-9_-]{0,62})?$"},
        "priority": _PRIORITY,
        "cron": {"maxLength": LONGEST_LINE, "description": "Or every; one of the two"},
        "every": {"minimum": SHORTEST_PERIOD, "maximum": LONGEST_PERIOD, "description": "Seconds"},
        "atMost": {"minimum": 1, "maximum": MOST_CAUGHT_UP},
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
}


def bound(schema: dict[str, Any]) -> None:
    """Say of every field and parameter what it may be."""
    shapes = schema["components"]["schemas"]
    for name, fields in SHAPES.items():
        for field, bounds in fields.items():
            shapes[name]["properties"][field] = _narrowed(shapes[name]["properties"][field], bounds)
    for parameter in _queries(schema):
        bounds = PARAMETERS.get(parameter["name"], {})
        parameter["schema"] = _narrowed(parameter["schema"], bounds)


def _narrowed(said: Schema, bounds: Schema) -> dict[str, Any]:
    """Return what is said of a value, with its bounds; other types than it had replace them."""
    kept = {name: said[name] for name in said if name not in {"oneOf", "type", "$ref"}}
    if "anyOf" in bounds:
        return {**kept, **bounds}
    if "$ref" in said and "enum" in bounds:
        return {**kept, "type": "string", **bounds}
    return {**said, **bounds}


def _queries(schema: Schema) -> Iterator[dict[str, Any]]:
    for item in schema.get("paths", {}).values():
        for operation in item.values():
            if isinstance(operation, dict):
                for parameter in operation.get("parameters", ()):
                    if parameter["in"] == "query":
                        yield parameter
