"""What may be said under ``intake``."""

from pathlib import Path

import pytest

from supervisor.config.load import load
from supervisor.config.mistakes import ConfigError
from supervisor.core.intake import Pace

GOOD = "broker: embedded\nworkers:\n  a: {queue: q, processor: p}\n"
SIZED = """intake:
  batch_size: ${BATCH_SIZE_JOBS:-50}
  interval: ${WORKER_PROCESSING_INTERVAL:-5000}ms
  concurrency: 10
"""


def pace(tmp_path: Path, said: str = "", **environ: str) -> Pace:
    file = tmp_path / "supervisor.yaml"
    file.write_text(GOOD + said)
    return load(file, environ).intake


def test_fifty_rows_every_five_seconds_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    assert pace(tmp_path) == pace(tmp_path, SIZED) == Pace(50, 5.0, 10)


def test_the_environment_says_how_many_and_how_often(tmp_path: Path) -> None:
    found = pace(tmp_path, SIZED, BATCH_SIZE_JOBS="100", WORKER_PROCESSING_INTERVAL="3000")

    assert found == Pace(100, 3.0, 10)


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("{batch_size: 0}", "intake.batch_size"),
        ("{interval: 1ms}", "intake.interval"),
        ("{concurrency: many}", "intake.concurrency"),
        ("{size: 5}", "intake.size"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, said: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pace(tmp_path, f"intake: {said}")

    assert [mistake.key for mistake in caught.value.mistakes] == [key]
