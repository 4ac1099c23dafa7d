"""The command line in this process, against a supervisor that only remembers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.cli.main import cli
from tests.support.control import FakeControl
from tests.support.house import running

POOLS = "workers:\n  download: {queue: download_queue, processor: workers.download}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose broker nobody needs."""
    path = tmp_path / "supervisor.yaml"
    path.write_text(f"broker: embedded\nstate: {tmp_path}/s\n{POOLS}")
    return path


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
def house(control: FakeControl, tmp_path: Path) -> Iterator[FakeControl]:
    with running(control, tmp_path / "s" / "supervisor.sock"):
        yield control


def call(config: Path, *arguments: str, stdin: str = "") -> Result:
    result = CliRunner().invoke(cli, ["-c", str(config), *arguments], input=stdin)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result
