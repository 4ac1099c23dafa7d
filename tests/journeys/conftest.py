"""What every journey needs: a program of its own that is surely gone afterwards, and a site."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.program import Program, document
from tests.support.receiver import Receiver
from tests.support.site import Site
from tests.support.waiting import wait_until

Configured = Callable[..., Program]
GONE = 5.0  # seconds for what was killed to be gone


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Configured]:
    """Write configurations; at the end nothing that ran with them may be left."""
    programs: list[Program] = []

    def configure(
        pools: Mapping[str, Mapping[str, object]], broker: str = "embedded", **top: object
    ) -> Program:
        folder = tmp_path / f"program-{len(programs)}"
        webhook = str(top.pop("webhook", ""))
        program = Program(
            folder, document(folder, broker=broker, pools=pools, webhook=webhook, **top)
        )
        programs.append(program)
        return program

    yield configure
    try:
        for program in programs:
            _check_end(program)
    finally:
        for program in programs:
            program.end()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Listen for notices."""
    with Receiver() as listening:
        yield listening


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def driver(request: pytest.FixtureRequest) -> str:
    """What to configure as the broker: each of the two drivers in turn."""
    if request.param == "embedded":
        return "embedded"
    return str(request.getfixturevalue("vhost_url"))


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("vhost_url", marks=pytest.mark.rabbitmq, id="rabbitmq-3.10"),
        pytest.param("vhost4_url", marks=pytest.mark.rabbitmq, id="rabbitmq-4.0"),
    ]
)
def each_driver(request: pytest.FixtureRequest) -> str:
    """What to configure as the broker, with each known version of RabbitMQ."""
    name = str(request.param)
    return name if name == "embedded" else str(request.getfixturevalue(name))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a short real video."""
    file = tmp_path_factory.mktemp("clip") / "clip.mp4"
    command = [sys.executable, "-m", "workers.media.tools.demo_clip", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return file.read_bytes()


@pytest.fixture
def site(clip: bytes) -> Iterator[Site]:
    """Serve the clip."""
    with Site(clip).open() as opened:
        yield opened


def _check_end(program: Program) -> None:
    """Stop what still runs, then look for what should not be there."""
    if program.is_running:
        assert program.stop() == 0, program.log[-3000:]
    wait_until(
        lambda: not program.survivors(), within=GONE, what=f"{program.survivors()} to be gone"
    )
    if not program.may_raise:
        assert "Traceback" not in program.log, program.log
