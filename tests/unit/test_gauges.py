"""What the machine has left is asked without waiting for a kernel that does not answer."""

import threading
from pathlib import Path

import pytest

from supervisor.gauges import Gauge, SilentError, available_memory, space


async def test_a_file_system_that_hangs_is_asked_once_and_not_waited_for() -> None:
    answered, asked = threading.Event(), list[int]()

    def question() -> int:
        asked.append(1)
        answered.wait(10)
        return len(asked)

    gauge = Gauge(question)
    for _ in range(3):
        with pytest.raises(SilentError, match=r"has not answered for 0\.01 s"):
            await gauge.read(within=0.01)
    answered.set()

    assert await gauge.read(within=5) == 1
    assert await gauge.read(within=5) == 2


async def test_a_refusal_is_told_and_the_next_time_asked_again(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    gauge = Gauge(lambda: space(folder))
    with pytest.raises(FileNotFoundError):
        await gauge.read(within=5)

    folder.mkdir()

    found = await gauge.read(within=5)
    assert 0 < found.free <= found.total
    assert found.device == space(tmp_path).device


def test_the_memory_is_what_the_kernel_calls_available(tmp_path: Path) -> None:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:  8000 kB\nMemFree:  100 kB\nMemAvailable:  2500 kB\n")

    assert available_memory(file) == 2500 * 1024
    file.write_text("MemTotal:  8000 kB\n")
    assert available_memory(file) is None
    assert available_memory(tmp_path / "none") is None
