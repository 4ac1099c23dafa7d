"""What a tool can still do when it has been talked into something: nothing that matters."""

import asyncio
import resource
import shutil
import sys
from pathlib import Path

import pytest

from consumers.errors import RefusedError, TransientError, WorkError
from tests.support.contexts import FakeContext
from workers.descendants import is_running
from workers.media.faults import from_ffmpeg
from workers.media.tools import children, confinement, landlock, tool
from workers.media.tools.children import Birth

# A program runs for a moment before its limits are set.
LIMITED = "until test $(ulimit -n) = 512; do sleep 0.02; done"

landlocked = pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")


@pytest.fixture
def ffmpeg(tmp_path: Path) -> str:
    """A shell that is taken for ffmpeg, because it is called so, and does what it is told."""
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.symlink_to(str(shutil.which("bash")))
    return str(program)


@pytest.fixture
def stage(context: FakeContext) -> Path:
    folder = context.media / "work" / "key" / "out"
    folder.mkdir(parents=True)
    return folder


class Suborned:
    """An ffmpeg that somebody else has taken over."""

    def __init__(self, program: str, context: FakeContext, stage: Path) -> None:
        self.program, self.context, self.stage = program, context, stage

    async def succeeds(self, deed: str, *inputs: str) -> bool:
        # No subshell: limits that come after a fork are not the child's.
        command = (self.program, "-c", f"{{ {deed}; }} 2>&1", "taken", *inputs)
        finished = await tool.run(tool.Call(command, folder=self.stage), self.context)
        return finished.code == 0


@pytest.fixture
def suborned(ffmpeg: str, context: FakeContext, stage: Path) -> Suborned:
    return Suborned(ffmpeg, context, stage)


@landlocked
async def test_a_tool_reads_its_source_and_nothing_beside_it(
    suborned: Suborned, context: FakeContext
) -> None:
    source, other = context.media / "film.mp4", context.media / "other.mp4"
    for path in (source, other):
        path.write_text("frames")
    named = ("-i", f"file:{source}")

    assert await suborned.succeeds(f"cat {source}", *named)
    assert not await suborned.succeeds(f"cat {other}", *named)
    assert not await suborned.succeeds(f"ls {context.media}", *named)
    assert not await suborned.succeeds("cat /etc/passwd", *named)


@landlocked
async def test_a_tool_writes_in_its_jobs_folder_and_nowhere_else(
    suborned: Suborned, context: FakeContext, stage: Path
) -> None:
    source = context.media / "film.mp4"
    source.write_text("frames")
    (context.media / "results").mkdir()

    assert await suborned.succeeds("echo x > here && echo x > ../beside && rm here")
    for victim in (source, context.media / "results" / "new", stage.parent.parent / "new"):
        assert not await suborned.succeeds(f"echo x > {victim}", "-i", f"file:{source}")
    assert not await suborned.succeeds("ln -s /etc/passwd link")
    assert source.read_text() == "frames"


@landlocked
@pytest.mark.skipif(landlock.version() < 4, reason="Landlock knows sockets from version 4 on")
async def test_a_tool_has_no_network(suborned: Suborned) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]

        assert not await suborned.succeeds(f"exec 3<>/dev/tcp/127.0.0.1/{port}")


@landlocked
@pytest.mark.skipif(landlock.version() < 6, reason="Landlock knows signals from version 6 on")
async def test_a_tool_cannot_signal_the_worker(suborned: Suborned) -> None:
    assert not await suborned.succeeds("kill -0 $PPID")


@landlocked
async def test_what_takes_the_place_of_a_source_is_not_read(
    suborned: Suborned, context: FakeContext, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("key")
    folder = context.media / "films"
    folder.symlink_to(tmp_path)

    with pytest.raises(RefusedError) as caught:
        await suborned.succeeds("true", "-i", f"file:{folder / 'secret'}")

    assert caught.value.code == "not_found"
    assert "replaced by a link" in caught.value.message


@landlocked
async def test_a_tool_gains_no_privileges(suborned: Suborned) -> None:
    said: list[str] = []
    command = (suborned.program, "-c", "echo $$; read -r -t 0.3 < <(sleep 1)")

    def look(line: str) -> None:
        said.extend(Path(f"/proc/{line}/status").read_text().splitlines())

    await tool.run(tool.Call(command, folder=suborned.stage), suborned.context, look)

    assert "NoNewPrivs:\t1" in said


@landlocked
async def test_the_worker_itself_gives_nothing_up(suborned: Suborned, tmp_path: Path) -> None:
    await suborned.succeeds("true")

    await asyncio.to_thread((tmp_path / "new").touch)
    assert await asyncio.to_thread(Path("/etc/passwd").read_text)


async def test_confinement_can_be_switched_off_in_the_pools_options(suborned: Suborned) -> None:
    suborned.context.options = {"confine": False}

    assert await suborned.succeeds("cat /etc/passwd")


async def test_a_tool_has_the_limits_of_its_job(suborned: Suborned, context: FakeContext) -> None:
    context.options = {**context.options, "max_size": "1MB"}
    (context.media / "film.mp4").write_bytes(b"x" * 1_000_000)
    asked = "test $(ulimit -f) = 1953 -a $(ulimit -c) = 0"

    assert await suborned.succeeds(f"{LIMITED}; {asked}", "-i", f"file:{context.media}/film.mp4")


async def test_what_grows_too_large_is_ended_and_said(
    suborned: Suborned, context: FakeContext
) -> None:
    context.options = {**context.options, "max_size": 100_000}
    command = (suborned.program, "-c", f"{LIMITED}; exec head -c 300000 /dev/zero > film.mp4")

    finished = await tool.run(tool.Call(command, folder=suborned.stage), context)

    assert finished.code == -25
    error = from_ffmpeg("cutting film.mp4", finished.code, finished.complaint)
    assert (error.code, type(error)) == ("too_large", RefusedError)


async def test_what_takes_more_processor_time_than_there_is_is_ended_and_said(
    suborned: Suborned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "visitors_limits", lambda _: {resource.RLIMIT_CPU: 1})
    command = (suborned.program, "-c", "while :; do :; done")

    finished = await tool.run(tool.Call(command, folder=suborned.stage), suborned.context)

    error = from_ffmpeg("cutting film.mp4", finished.code, finished.complaint)
    assert (error.code, type(error)) == ("timeout", TransientError)
    assert "processor time" in error.message


async def test_what_a_tool_started_ends_with_it(
    suborned: Suborned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "GRACE", 0.2)
    pids: list[int] = []
    deed = "trap '' TERM; (trap '' TERM; exec -a grandchild sleep 50) & echo $!; wait; sleep 50"
    call = tool.Call((suborned.program, "-c", deed), folder=suborned.stage, limit=0.5)

    with pytest.raises(WorkError, match="its time was over"):
        await tool.run(call, suborned.context, lambda line: pids.append(int(line)))

    assert len(pids) == 1
    assert not is_running(pids[0])


async def test_a_child_whose_starter_is_cancelled_does_not_stay(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    birth = Birth(("sh", "-c", f"echo $$ > {note}; exec sleep 50"))
    starting = asyncio.ensure_future(children.start(birth))
    await asyncio.sleep(0)
    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting

    assert not note.exists() or not is_running(int(note.read_text() or 0))


def test_limits_grow_with_the_source(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"x" * 1000)
    command = ("ffmpeg", "-i", f"file:{film}", "out.mp4")
    execution = confinement.Execution(command, tmp_path, tmp_path, 10.0, largest=500)

    assert confinement.limits(execution)[resource.RLIMIT_FSIZE] == 2000


def test_limits_grow_with_what_a_command_finds_in_its_own_folder(tmp_path: Path) -> None:
    for name, size in (("list.txt", 50), ("part-0.mp4", 1000), ("part-1.mp4", 3000)):
        (tmp_path / name).write_bytes(b"x" * size)
    command = ("ffmpeg", "-f", "concat", "-i", "file:list.txt", "out.mp4")
    execution = confinement.Execution(command, tmp_path, tmp_path, 10.0, largest=500)

    assert confinement.limits(execution)[resource.RLIMIT_FSIZE] == 2 * 4050


def test_confinement_is_said_in_words() -> None:
    assert confinement.describe().startswith(("Landlock", "limits of the system"))


@landlocked
async def test_a_download_reads_no_media_and_writes_in_its_folder_alone(
    context: FakeContext, stage: Path
) -> None:
    secret = context.media / "results" / "secret"
    secret.parent.mkdir()
    secret.write_text("key")
    code = f"""
import pathlib, socket, ssl, tempfile
pathlib.Path("here").write_text("x")
tempfile.TemporaryFile().close()
ssl.create_default_context()
for deed in (
    lambda: pathlib.Path({str(secret)!r}).read_text(),
    lambda: pathlib.Path({str(secret)!r}).with_name("new").write_text("x"),
    lambda: pathlib.Path({str(context.media)!r}, "new").write_text("x"),
    lambda: pathlib.Path("/etc/shadow").read_text(),
):
    try:
        deed()
    except PermissionError:
        print("denied")
"""
    said: list[str] = []
    call = tool.Call((sys.executable, "-P", "-c", code), folder=stage, visits=True)

    finished = await tool.run(call, context, said.append)

    assert (finished.code, finished.complaint) == (0, "")
    assert said == ["denied"] * 4


async def test_without_landlock_everything_works_and_is_said(
    suborned: Suborned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)

    assert await suborned.succeeds("cat /etc/passwd > here")
    assert confinement.describe().startswith("limits of the system only, without Landlock")
