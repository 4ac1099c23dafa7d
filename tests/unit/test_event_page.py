"""The page of events and the table in the code name the same events, and all that are told."""

import re
from pathlib import Path

import pytest

from supervisor.core.lifecycle import WorkerState
from supervisor.news import EVENTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "events.md").read_text()
TOLD = re.compile(r'(?:_tell|_publish|Event|Announce)\(\s*(?:name=)?"([a-z.]+)"')


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_has_its_row_with_its_fields(name: str) -> None:
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("|")]
    (fields,) = [row[2] for row in rows if f"`{name}`" in row[1]]

    missing = [field for field in EVENTS[name] if f"`{field}`" not in fields]
    assert not missing or "as `worker.crashed`" in fields


def test_every_event_that_is_told_by_name_is_in_the_table() -> None:
    files = (ROOT / "src" / "supervisor").rglob("*.py")
    told = {name for file in files for name in TOLD.findall(file.read_text())}

    logged = {"worker.ready", "worker.restored"}  # as the log says it; told as worker.idle
    assert told - logged <= EVENTS.keys()
    assert {"completed", "failed", "waiting", "worker.crashed", "paused"} <= told


def test_every_state_of_a_worker_that_is_announced_is_in_the_table() -> None:
    unspoken = {WorkerState.STARTING, WorkerState.PROCESSING}  # started says it, or active
    spoken = {f"worker.{state.value}" for state in WorkerState if state not in unspoken}

    assert spoken <= EVENTS.keys()
