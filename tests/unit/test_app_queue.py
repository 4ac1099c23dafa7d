"""The example of one queue: its profiles of the environment size it as its page says."""

from pathlib import Path

import pytest

from supervisor.config.load import read

EXAMPLE = Path(__file__).parents[2] / "examples" / "app_queue"
TYPES = {"email:send", "user:notification", "data:export", "file:process", "cache:warm"}


@pytest.mark.parametrize(
    ("profile", "at_once", "batch", "interval"),
    [
        ("development", 5, 25, 3.0),
        ("production", 20, 100, 5.0),
        ("throughput", 50, 200, 5.0),
        ("low-memory", 5, 25, 5.0),
    ],
)
def test_each_profile_sizes_the_queue_as_it_says(
    profile: str, at_once: int, batch: int, interval: float
) -> None:
    lines = (EXAMPLE / f"{profile}.env").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")

    settings = read(EXAMPLE / "supervisor.yaml", environment).settings

    pool = settings.workers["app"]
    assert (pool.queue, pool.concurrency, set(pool.types)) == ("app-queue", at_once, TYPES)
    assert (settings.intake.batch_size, settings.intake.interval) == (batch, interval)


def test_without_a_profile_the_queue_has_its_defaults() -> None:
    settings = read(EXAMPLE / "supervisor.yaml", {}).settings

    pool = settings.workers["app"]
    assert (pool.queue, pool.concurrency) == ("app-queue", 10)
    assert (settings.intake.batch_size, settings.intake.interval) == (50, 5.0)
