"""Which functions are hooks, and what is wrong with those that cannot be."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.hooks.finding import FUNCTIONS, find, wanted
from supervisor.news import EVENTS
from workers.registry import RegistryError

GOOD = """
from json import dumps as on_paper  # what is imported under such a name is no hook
def on_completed(event): ...
async def on_worker_crashed(event, *more): ...
def on_event(event): ...
def helper(): ...
def everything(event): ...
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "users_hooks.py"
    sys.modules.pop("users_hooks", None)


def test_functions_are_hooks_by_their_names(module: Path) -> None:
    module.write_text(GOOD)

    hooks = find("users_hooks")

    assert [(hook.name, hook.event) for hook in hooks] == [
        ("users_hooks.on_completed", "completed"),
        ("users_hooks.on_worker_crashed", "worker.crashed"),
        ("users_hooks.on_event", ""),
    ]
    assert wanted(hooks[:2]) == ("completed", "worker.crashed")
    assert wanted(hooks) == tuple(EVENTS)


def test_a_function_that_is_named_hears_everything_or_what_its_name_says(module: Path) -> None:
    module.write_text(GOOD)

    assert [hook.event for hook in find("users_hooks:everything")] == [""]
    assert [hook.event for hook in find("users_hooks:on_completed")] == ["completed"]


def test_every_event_has_its_function() -> None:
    assert len(FUNCTIONS) == len(EVENTS)
    assert FUNCTIONS["on_worker_idle"] == "worker.idle"


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "users_hooks", "has no function named on_completed or the like"),
        ("def on_complete(event): ...", "users_hooks", "did you mean on_completed?"),
        ("def on_failed(): ...", "users_hooks", "'on_failed' must accept (event)"),
        ("def on_failed(a, b): ...", "users_hooks", "'on_failed' must accept (event)"),
        ("x = 1", "users_hooks:x", "'x' is a int, not a function"),
        ("", "users_hooks:gone", "module users_hooks has no 'gone'"),
        ("import nowhere_at_all", "users_hooks", "needs 'nowhere_at_all', which is missing"),
        ("1 / 0", "users_hooks", "importing it raised ZeroDivisionError"),
        ("", "users_nothing", "there is no module 'users_nothing'"),
    ],
)
def test_what_is_no_hook_is_said_in_one_line(module: Path, text: str, name: str, said: str) -> None:
    module.write_text(text)

    with pytest.raises(RegistryError) as raised:
        find(name)

    assert said in raised.value.why
    assert "\n" not in raised.value.why
