"""The process of the hooks, when it does not keep to the rules: that is no harm to the house."""

import asyncio
import sys

import pytest

from supervisor.bulletin import Bulletin
from supervisor.hooks import child, runner
from supervisor.hooks.runner import Hooks
from tests.support.clocks import WITHIN, FakeClock

FLOOD = "import sys; sys.stdout.write('x' * 200_000 + chr(10)); sys.stdout.flush()"


async def test_a_line_without_end_is_a_fault_of_the_hooks_and_they_are_started_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "COMMAND", (sys.executable, "-c", FLOOD))
    clock = FakeClock()
    hooks = Hooks(["a.b"], Bulletin(), clock, limit=1.0)
    running = asyncio.ensure_future(hooks.run())
    async with asyncio.timeout(WITHIN):
        await clock.until_asleep()

    said = capfd.readouterr()
    assert "said more than fits in a line" in said.out + said.err
    assert not running.done()
    running.cancel()
    await asyncio.wait({running})


def test_what_a_hook_raises_is_said_in_few_words() -> None:
    with pytest.raises(ValueError, match="x") as raised:
        float("x" * 100_000)

    assert len(child.in_one_line(raised.value)) < 1_100
