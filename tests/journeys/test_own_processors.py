"""Processors of a user's own: the example that calls webhooks, and a plain function."""

import json

import pytest

from tests.journeys.conftest import Configured
from tests.support.receiver import Answer, Receiver

pytestmark = [pytest.mark.journey, pytest.mark.timeout(60)]


def test_the_webhook_example_and_a_plain_function_run_as_jobs(
    driver: str, configured: Configured
) -> None:
    with Receiver(Answer(503), Answer(204), Answer(410)) as target:
        pools = {
            "hooks": {"processor": "examples.webhook:handle", "options": {"url": target.url}},
            "plain": {"processor": "tests.support.processors:plain"},
        }
        program = configured(pools, driver).start()

        (hook,) = program.submit("hooks", {"payload": {"order": 7}})
        (plain,) = program.submit("plain", {"who": "world", "from": "me"})
        program.wait_for_state("completed", hook, plain)
        (unwanted,) = program.submit("hooks", {"payload": {"order": 8}})
        program.wait_for_state("failed", unwanted)
        posted = target.received()

        assert [json.loads(request.body) for request in posted] == [
            {"order": 7},
            {"order": 7},
            {"order": 8},
        ]
        assert posted[0].headers["idempotency-key"] == posted[1].headers["idempotency-key"]
        assert program.job(hook).attempts == 1
        error = program.job(unwanted).error
        assert error is not None
        assert "410" in error.message
        job = program.job(plain)
        assert job.result == {"data": {"greeting": "hello world"}}
        assert any("hello me" in line for line in job.lines)
