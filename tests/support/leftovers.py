"""A net under the whole test run: every process it started must be gone when it ends.

A child that lost its parent is no longer found by walking down from pytest, so each run
marks its environment, and whatever carries the mark afterwards is a leftover.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator

import psutil
import pytest

MARK = "RABBIT_SUPERVISOR_TEST_RUN"
PATIENCE = 5.0  # seconds for the last ones to finish their exit
OWN_HELPERS = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    """Fail the run when a process outlives it; end that process all the same."""
    mark = secrets.token_hex(8)
    os.environ[MARK] = mark
    yield
    left = psutil.wait_procs(list(_marked(mark)), timeout=PATIENCE)[1]
    descriptions = [_describe(process) for process in left]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    if descriptions:
        pytest.fail("the tests left processes behind:\n" + "\n".join(descriptions))


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark and not _is_ours(process):
                yield process


def _is_ours(process: psutil.Process) -> bool:
    """Tell whether this is pytest itself or what Python keeps beside it until it exits."""
    if process.pid == os.getpid():
        return True
    words = " ".join(process.cmdline())
    return process.ppid() == os.getpid() and any(name in words for name in OWN_HELPERS)


def _describe(process: psutil.Process) -> str:
    try:
        return f"  {process.pid} {' '.join(process.cmdline())[:160]}"
    except psutil.Error:
        return f"  {process.pid} (ended meanwhile)"
