"""What may be said under ``retention`` and of stalled jobs, and what follows from it."""

from pathlib import Path

import pytest

from supervisor.blueprints import pool_policy, retention_rules
from supervisor.config.load import load
from supervisor.config.mistakes import ConfigError
from supervisor.config.settings import Settings
from supervisor.core.records import FINAL, JobState
from supervisor.core.retention import Rule

GOOD = "broker: embedded\nworkers:\n  a: {queue: q, processor: p%s}\n"
DAY = 86_400.0


def settings_of(tmp_path: Path, *lines: str, pool: str = "") -> Settings:
    file = tmp_path / "supervisor.yaml"
    file.write_text(GOOD % pool + "\n".join(lines))
    return load(file, {})


def test_unless_it_is_said_otherwise_only_failed_jobs_stay_for_ever(tmp_path: Path) -> None:
    rules = retention_rules(settings_of(tmp_path).retention)

    assert set(rules) == FINAL
    assert rules[JobState.FAILED].is_for_ever
    assert rules[JobState.COMPLETED] == Rule(age=30 * DAY, count=100_000)


def test_a_state_has_its_own_rule_and_zero_is_for_ever(tmp_path: Path) -> None:
    found = settings_of(
        tmp_path, "retention:", "  completed: {age: 1h}", "  removed: {age: 0, count: 0}"
    ).retention

    assert found.completed == Rule(age=3600.0, count=100_000)
    assert found.removed.is_for_ever
    assert found.cancelled.count == 100_000


@pytest.mark.parametrize(
    ("said", "key", "what"),
    [
        ("{completed: {age: soon}}", "completed.age", "must be a time"),
        ("{failed: {count: -1}}", "failed.count", "must be 0 or more"),
        ("{waiting: {age: 1d}}", "waiting", "is not a key here"),
        ("{intake: {count: 5}}", "intake.count", "is not a key here"),
        ("30d", "", "must be a mapping"),
    ],
)
def test_a_mistake_in_retention_is_named(tmp_path: Path, said: str, key: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, f"retention: {said}")

    (mistake,) = caught.value.mistakes
    assert mistake.key == f"retention{f'.{key}' if key else ''}"
    assert what in mistake.what


@pytest.mark.parametrize(
    ("pool", "heartbeat", "stalled", "hung"),
    [
        ("", 30.0, 30.0, 30.0),
        (", stalled_after: 10s", 30.0, 10.0, 30.0),
        (", stalled_after: 60s", 30.0, 60.0, 60.0),
    ],
)
def test_a_worker_is_not_replaced_before_its_jobs_may_be_called_stalled(
    tmp_path: Path, pool: str, heartbeat: float, stalled: float, hung: float
) -> None:
    settings = settings_of(tmp_path, f"heartbeat: {{timeout: {heartbeat:g}}}", pool=pool)

    policy = pool_policy(settings.workers["a"], settings)

    assert (policy.stalled_after, policy.heartbeat_timeout) == (stalled, hung)
