"""``events``, ``hooks`` and ``priority_map`` as people write them, and their mistakes."""

from pathlib import Path

import pytest

from consumers.jobs import Priority
from supervisor.config.load import load
from supervisor.config.mistakes import ConfigError
from supervisor.config.settings import Events, Settings

POOL = "workers: {w: {queue: q, processor: a.b%s}}\n"


def read(folder: Path, text: str = "", pool: str = "") -> Settings:
    file = folder / "supervisor.yaml"
    file.write_text(POOL % pool + text)
    return load(file, {})


def test_events_are_published_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    assert read(tmp_path).events == Events("supervisor.events", ())
    for off in ("off", "Off", "false", "no"):
        assert read(tmp_path, f"events: {{exchange: {off}}}").events.exchange == ""
    chosen = read(tmp_path, "events: {exchange: news, only: [failed, worker.*]}").events
    assert chosen == Events("news", ("failed", "worker.*"))


def test_hooks_are_named_and_have_their_time(tmp_path: Path) -> None:
    settings = read(tmp_path, "hooks: [mine, other.module:function]\nhook_timeout: 500ms")

    assert settings.hooks == ("mine", "other.module:function")
    assert settings.hook_timeout == 0.5
    assert read(tmp_path).hooks == ()


def test_numbers_mean_what_the_pool_says(tmp_path: Path) -> None:
    pool = read(tmp_path, pool=", priority_map: {10: critical, 5: high, 0: normal, -1: low}")

    assert pool.workers["w"].priority_map == {
        10: Priority.CRITICAL,
        5: Priority.HIGH,
        0: Priority.NORMAL,
        -1: Priority.LOW,
    }


@pytest.mark.parametrize(
    ("text", "pool", "said"),
    [
        ("events: {exchange: amq.topic}", "", "events.exchange: must be the name of an exchange"),
        ("events: {only: [complete]}", "", "'complete' is no event; did you mean completed?"),
        ("events: {onyl: [failed]}", "", "events.onyl: is not a key here; did you mean only?"),
        ("hooks: [my-hooks]", "", "hooks[0]: must be package.module or package.module:function"),
        ("hooks: mine", "", "hooks: must be a list"),
        ("hook_timeout: 0s", "", "hook_timeout: must be 0.1 to 3,600 s, is 0s"),
        ("", ", priority_map: {10: urgent}", "workers.w.priority_map.10: cannot be 'urgent'"),
        ("", ", priority_map: {ten: high}", "workers.w.priority_map.ten: must be a whole number"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, pool: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, text, pool)

    assert said in str(raised.value)
