"""Running a tool: heard, bounded, and ended with everything it holds."""

import asyncio
import socket
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typing_extensions import override

from consumers.errors import HostError, TransientError
from tests.support.contexts import FakeContext
from tests.support.waiting import wait_until
from workers.descendants import is_running
from workers.media.tools import tool


def python(code: str, **options: object) -> tool.Call:
    return tool.Call((sys.executable, "-c", code), **options)  # type: ignore[arg-type] # test sugar


async def test_every_line_is_given_away_and_the_end_of_stderr_is_kept(
    context: FakeContext,
) -> None:
    lines: list[str] = []
    code = (
        "import sys; print('a\\nb'); sys.stdout.write('c'); sys.stderr.write('x' * 20000 + 'end')"
    )

    finished = await tool.run(python(code), context, lines.append)

    assert lines == ["a", "b", "c"]
    assert finished.code == 0
    assert finished.complaint.endswith("end")
    assert len(finished.complaint) == tool.KEPT


async def test_a_line_without_end_is_kept_as_far_as_it_may_go(context: FakeContext) -> None:
    lines: list[str] = []
    code = f"print('x' * {3 * tool.LONGEST}); print('end')"

    await tool.run(python(code), context, lines.append)

    assert [len(lines[0]), *lines[1:]] == [tool.LONGEST, "end"]


async def test_a_complaint_does_not_repeat_the_names_of_files(context: FakeContext) -> None:
    named = "file:/media/No space left on device"
    code = "import sys; sys.exit(f'{sys.argv[1]}: it is broken')"

    finished = await tool.run(tool.Call((sys.executable, "-c", code, named)), context)

    assert finished.complaint == "it is broken\n"


async def test_what_is_fed_arrives_and_the_exit_code_comes_back(context: FakeContext) -> None:
    lines: list[str] = []
    call = python("import sys; print(sys.stdin.read()[::-1]); sys.exit(3)", stdin=b"abc")

    finished = await tool.run(call, context, lines.append)

    assert (lines, finished.code) == (["cba"], 3)


async def test_a_tool_that_overstays_its_own_limit_is_ended(context: FakeContext) -> None:
    started = time.monotonic()

    with pytest.raises(TransientError) as caught:
        await tool.run(python("import time; time.sleep(30)", limit=0.3, name="sleeper"), context)

    assert caught.value.code == "timeout"
    assert "sleeper" in str(caught.value)
    assert time.monotonic() - started < 5.0


async def test_a_tool_that_ignores_term_is_killed(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "GRACE", 0.2)
    ready = asyncio.Event()
    code = "import signal,time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); "
    call = python(code + "time.sleep(30)")
    running = asyncio.ensure_future(tool.run(call, context, lambda _line: ready.set()))
    await asyncio.wait_for(ready.wait(), 10)
    context.cancelled.set()

    with pytest.raises(Exception, match="was cancelled"):
        await asyncio.wait_for(running, 5)


async def test_what_a_killed_child_of_ours_had_started_is_killed_with_it(
    context: FakeContext, tmp_path: Path
) -> None:
    context.media.mkdir()
    lines: list[str] = []
    code = (
        "import os, subprocess as s, sys; quiet = dict(stdout=s.DEVNULL, stderr=s.DEVNULL); "
        "print(s.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], **quiet).pid); "
        "sys.stdout.flush(); os.kill(os.getpid(), 9)"
    )

    finished = await tool.run(python(code, visits=True, folder=tmp_path), context, lines.append)

    assert finished.code == -9
    await asyncio.to_thread(
        wait_until, lambda: not is_running(int(lines[0])), within=5, what="what it started to end"
    )


async def test_a_program_that_is_not_there_says_so(context: FakeContext, tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        await tool.run(tool.Call((str(tmp_path / "ffmpeg"),)), context)

    assert caught.value.code == "ffmpeg_missing"


class Watching(asyncio.SelectorEventLoop):
    """A loop that remembers what it was given to read."""

    given: ClassVar[list[object]] = []

    @override
    async def connect_read_pipe(self, protocol_factory: Any, pipe: Any) -> Any:
        """Remember it, and read it."""
        self.given.append(pipe)
        return await super().connect_read_pipe(protocol_factory, pipe)


def test_a_tool_is_heard_through_sockets_because_uvloop_closes_the_number_of_a_pipe_twice(
    context: FakeContext,
) -> None:
    with asyncio.Runner(loop_factory=Watching) as runner:
        finished = runner.run(tool.run(tool.Call(("true",)), context))

    assert finished.code == 0
    assert [type(given) for given in Watching.given] == [socket.socket] * 2
    assert [given.fileno() for given in Watching.given if isinstance(given, socket.socket)] == [
        -1,
        -1,
    ], "both are closed"
