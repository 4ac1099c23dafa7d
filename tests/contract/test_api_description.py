"""The API does what its description says, whatever it is sent: checked by schemathesis."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation, Case
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup

from supervisor.api.gate import Gate, Rules
from supervisor.api.routes import build
from supervisor.core.callers import Caller, Role
from tests.support.control import FakeControl

AnyOperation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[Any]

EXAMPLES = 6  # of each operation
TOKEN = "a-token-of-an-administrator"  # noqa: S105 - of this test
ENDLESS = {"/api/events"}  # answers for as long as somebody listens
# The shape may be right and the value not: no such time zone, no such pool.
CONFIG = {
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]}}
}


def _admin(token: str) -> Caller | None:
    return Caller("admin", frozenset({Role.ADMIN})) if token == TOKEN else None


@pytest.fixture
def app() -> Gate:
    rules = Rules(look_up=_admin, is_private=False)
    return build(FakeControl(), rules=rules)


def _operations(app: Gate) -> Iterator[AnyOperation]:
    schema = schemathesis.openapi.from_asgi(
        "/schema/openapi.json",
        app,
        headers={"Authorization": f"Bearer {TOKEN}"},
        config=SchemathesisConfig.from_dict(CONFIG),
    )
    for found in schema.get_all_operations():
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
