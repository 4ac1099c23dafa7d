"""The API does what its description says, whatever it is sent: checked by schemathesis."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.schemas import OpenApiSchema

from supervisor.api.gate import Gate, Rules
from supervisor.api.routes import build
from supervisor.core.callers import Caller, Role
from tests.support.control import FakeControl

AnyOperation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]

EXAMPLES = 6  # of each operation
TOKEN = "a-token-of-an-administrator"  # noqa: S105 - of this test
MOMENT = "2026-11-22T10:00:00Z"
ENDLESS = {"/api/events"}  # answers for as long as somebody listens


def _admin(token: str) -> Caller | None:
    return Caller("admin", frozenset({Role.ADMIN})) if token == TOKEN else None


@pytest.fixture
def app() -> Gate:
    rules = Rules(look_up=_admin, is_private=False)
    return build(FakeControl(), rules=rules)


def _description(app: Gate) -> OpenApiSchema:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return schemathesis.openapi.from_asgi("/schema/openapi.json", app, headers=headers)


def _operations(app: Gate) -> Iterator[AnyOperation]:
    for found in _description(app).get_all_operations():
        operation: AnyOperation = found.ok()  # type: ignore[union-attr]  # an Err is a broken description
        if operation.path not in ENDLESS:
            yield operation


def _examine(operation: AnyOperation, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def answers_as_described(case: AnyCase) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
        case.validate_response(answer, headers={"Authorization": f"Bearer {TOKEN}"})

    answers_as_described()


@pytest.mark.timeout(120)
def test_every_operation_answers_as_it_is_described(app: Gate) -> None:
    wrong = {}
    for operation in _operations(app):
        try:
            _examine(operation, EXAMPLES)
        except FailureGroup as error:
            wrong[operation.label] = str(error)[:1500]

    assert wrong == {}


def test_priorities_and_what_may_follow_are_described_by_the_pools_there_are() -> None:
    control = FakeControl()
    own = msgspec.structs.replace(control.pools.view("cutter"), priorities=(0, 10))
    control.pools.known = {"cutter": own}
    shapes = _shapes(build(control, rules=Rules(look_up=_admin, is_private=False)))

    numbers = [
        shapes[name]["properties"]["priority"]["anyOf"][1]["enum"]
        for name in ("Order", "PriorityOrder", "ScheduleOrder")
    ]

    assert numbers == [[0, 10]] * 3
    assert shapes["Order"]["properties"]["then"]["anyOf"][1]["enum"] == ["cutter"]


@pytest.mark.parametrize(
    ("name", "body", "fits"),
    [
        ("Chosen", {}, False),
        ("Chosen", {"dryRun": True, "limit": 5}, False),
        ("Chosen", {"ids": [], "pool": None}, False),
        ("Chosen", {"every": True, "pool": "cutter"}, False),
        ("Chosen", {"every": True, "pool": None, "limit": 5}, True),
        ("Chosen", {"from": "ana"}, True),
        ("ReplayOrder", {"rate": 2}, False),
        ("ReplayOrder", {"older": 60, "every": False, "rate": 2}, True),
        ("ScheduleOrder", {"pool": "cutter"}, False),
        ("ScheduleOrder", {"pool": "cutter", "cron": "@daily", "every": 5}, False),
        ("ScheduleOrder", {"pool": "cutter", "every": 5, "zone": "Europe/Berlin"}, False),
        ("ScheduleOrder", {"pool": "cutter", "every": 5, "zone": "UTC"}, True),
        ("ScheduleOrder", {"pool": "cutter", "cron": "@daily", "name": ""}, True),
        ("Wish", {"untilEmpty": False}, False),
        ("Wish", {"untilEmpty": False, "maxJobs": None}, False),
        ("AnyWish", {"untilEmpty": False, "maxSeconds": 5}, True),
        ("Wish", {"maxJobs": None}, True),
        ("Order", {"pool": "cutter", "data": {}, "delay": 5, "runAt": MOMENT}, False),
        ("Order", {"pool": "cutter", "data": {}, "runAt": MOMENT}, True),
        ("Order", {"pool": "cutter", "data": {}, "delay": 5}, True),
        ("Order", {"pool": "cutter", "data": {}, "id": ""}, False),
        ("Order", {"pool": "cutter", "data": {}, "id": ".."}, False),
        ("Order", {"pool": "cutter", "data": {}, "id": "order-4711"}, True),
        ("NewSchedule", {"pool": "cutter", "cron": "@daily"}, False),
        ("NewSchedule", {"pool": "cutter", "cron": "@daily", "name": ""}, False),
        ("NewSchedule", {"pool": "cutter", "cron": "@daily", "name": "nightly"}, True),
    ],
)
def test_what_goes_together_in_a_body_is_described(
    app: Gate, name: str, body: dict[str, object], *, fits: bool
) -> None:
    shapes = _shapes(app)
    rule = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": shapes}}

    assert jsonschema.Draft202012Validator(rule).is_valid(body) is fits


def _shapes(app: Gate) -> dict[str, Any]:
    shapes: dict[str, Any] = _description(app).raw_schema["components"]["schemas"]
    return shapes
