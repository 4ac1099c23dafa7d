"""Programs of other people: they publish, set priority and delay, hear events and replies."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Configured
from tests.support import pika_client

pytestmark = [pytest.mark.journey, pytest.mark.rabbitmq, pytest.mark.timeout(120)]

SCRIPT = Path(__file__).parents[1] / "support" / "node_client.js"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
MODULES = CACHE / "rabbit-supervisor" / "node" / "node_modules"


def in_node(url: str, queue: str) -> Mapping[str, Mapping[str, Any]]:
    """Run the client in Node and return what it heard."""
    node = shutil.which("node")
    if node is None or not (MODULES / "amqplib").is_dir():
        pytest.skip("Node or its amqplib is missing: tools/provision tests")
    ran = subprocess.run(
        [node, SCRIPT, url, queue],
        env=os.environ | {"NODE_PATH": str(MODULES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


CLIENTS = {"node": in_node, "pika": pika_client.main}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_foreign_program_publishes_and_hears_events_and_replies(
    client: str, any_vhost_url: str, configured: Configured
) -> None:
    pools = {"toy": {"retry": {"attempts": 2, "delay": "300ms"}}}
    program = configured(pools, any_vhost_url).start()
    program.may_raise = True

    heard = CLIENTS[client](any_vhost_url, "toy_queue")

    events, replies = heard["events"], heard["replies"]
    for name in ("plain", "urgent", "named", "late"):
        assert events[name] == ["waiting", "active", "completed"]
        assert replies[name]["success"] is True
        assert replies[name]["data"] == {"name": name, "attempt": 1}
        assert replies[name]["duration"] >= 0
    assert events["direct"] == ["waiting", "active", "retrying", "active", "completed"]
    assert replies["direct"]["data"] == {"name": "direct", "attempt": 2}
    assert events["refused"] == ["waiting", "active", "failed"]
    assert (replies["refused"]["success"], replies["refused"]["error"]) == (False, "never again")
    began = program.job("late").started_at
    assert began is not None
    assert began.timestamp() - heard["sent"]["late"] >= 0.5
    levels = {name: program.job(name).priority.word for name in ("plain", "urgent", "named")}
    assert levels == {"plain": "normal", "urgent": "critical", "named": "high"}
