"""What a worker says is read as words, never run, whatever it says and however much of it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.journeys.conftest import Configured
from tests.support.program import Program
from tests.support.rogues import pickled

pytestmark = [pytest.mark.journey, pytest.mark.timeout(60)]

ROGUES: Mapping[str, Mapping[str, object]] = {
    "rogue": {"processor": "tests.support.rogues", "max_crashes": 1}
}


def _worker_that_is_understood(program: Program, job: Mapping[str, object]) -> None:
    """Run a job after whatever happened: by then all that was said before has been read."""
    program.wait_for_state("completed", *program.submit("rogue", job))


def test_a_pickle_is_counted_and_never_run(configured: Configured, tmp_path: Path) -> None:
    mark = tmp_path / "it was run"
    command = f"touch '{mark}'"
    program = configured(ROGUES).start()

    (framed,) = program.submit("rogue", {"do": "pickle", "framed": True, "command": command})
    program.wait_for_state("completed", framed)
    assert program.worker("rogue-1").unreadable_frames == 1
    (bare,) = program.submit("rogue", {"do": "pickle", "framed": False, "command": command})
    program.wait_for_state("failed", bare)
    _worker_that_is_understood(program, {"do": "nothing"})

    assert not mark.exists()
    worker = program.worker("rogue-1")
    assert (worker.restarts, worker.unreadable_frames) == (1, 2)
    assert program.lines("message unreadable, passed over", worker="rogue-1")
    assert command not in program.log
    assert _runs_when_loaded(pickled(command), mark)


def test_noise_has_the_worker_replaced_and_says_so(configured: Configured) -> None:
    program = configured(ROGUES).start()

    (noisy,) = program.submit("rogue", {"do": "rattle"})
    program.wait_for_state("failed", noisy)
    _worker_that_is_understood(program, {"do": "nothing"})

    worker = program.worker("rogue-1")
    assert worker.last_restart is not None
    assert "cannot be understood" in worker.last_restart.why
    assert worker.unreadable_frames == 1


def test_what_is_too_large_to_be_said_is_refused_and_shown(configured: Configured) -> None:
    program = configured(ROGUES).start()

    _worker_that_is_understood(program, {"do": "shout"})

    program.wait_until(lambda: program.worker("rogue-1").refused_frames, "the refusal to be shown")
    line = program.wait_for_line("message refused, the job goes on", worker="rogue-1")
    assert "put large data in a file" in line["why"]
    assert program.worker("rogue-1").restarts == 0


def _runs_when_loaded(pickle: bytes, mark: Path) -> bool:
    """Answer whether this pickle is one that would have done harm."""
    load = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
    subprocess.run([sys.executable, "-c", load], input=pickle, check=True, timeout=20)
    return mark.exists()
