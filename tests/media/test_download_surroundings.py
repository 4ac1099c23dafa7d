"""What lies about on the machine changes no download, and other users of it see no cookies."""

import asyncio
from pathlib import Path

import pytest

from consumers.errors import RefusedError
from tests.media.conftest import Clips
from tests.support import offspring
from tests.support.contexts import FakeContext
from tests.support.media_server import Answer, MediaServer
from workers import download
from workers.processor import Job

FILM = "video/mp4"
SECRET = "planted-session-value"  # noqa: S105 - to be looked for
PLUGIN = "import pathlib\npathlib.Path({!r}).touch()\n"


def job(link: str) -> Job:
    return Job(id="1", queue="download_queue", data={"link": link})


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a configuration and plugins of yt-dlp, where what runs of them leaves a trace."""
    home, left = tmp_path / "home", tmp_path / "traces"
    settings = home / ".config" / "yt-dlp"
    left.mkdir()
    for place in (settings / "plugins" / "any", home / ".yt-dlp" / "plugins" / "any"):
        plugin = place / "yt_dlp_plugins" / "extractor" / "any.py"
        plugin.parent.mkdir(parents=True)
        plugin.write_text(PLUGIN.format(str(left / "plugin")))
    for name in ("config", "config.txt"):
        (settings / name).write_text(f"--exec 'touch {left}/configuration'\n--format none\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("PYTHONPATH", str(settings / "plugins" / "any"))
    return left


async def test_neither_configuration_nor_plugins_of_yt_dlp_are_picked_up(
    site: MediaServer, clips: Clips, context: FakeContext, traces: Path
) -> None:
    context.options = {**context.options, "confine": False}  # a trace could be left
    link = site.serve("/clip.mp4", Answer(clips.short.read_bytes(), kind=FILM))

    result = await download.handle(job(link), context)

    assert len(result.files) == 1
    assert [path.name for path in await asyncio.to_thread(lambda: [*traces.iterdir()])] == []


async def test_cookies_are_no_argument_and_in_no_environment(
    site: MediaServer, clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    jar = tmp_path / "jar.txt"
    jar.write_text(f"# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\ts\t{SECRET}\n")
    context.options = {**context.options, "cookies": {"127.0.0.1": str(jar)}}
    held = Answer(clips.closed_gop.read_bytes(), kind=FILM, held=True)
    before = offspring.alive()
    running = asyncio.ensure_future(download.handle(job(site.serve("/a.mp4", held)), context))
    await asyncio.to_thread(site.halfway.wait, 20)

    shown = await asyncio.to_thread(shown_by_the_system, offspring.since(before))
    context.cancelled.set()
    with pytest.raises(RefusedError):
        await running

    assert {headers["Cookie"] for _, headers in site.heard} == {f"s={SECRET}"}
    assert b"workers.media.fetching" in shown
    assert SECRET.encode() not in shown


def shown_by_the_system(pids: frozenset[int]) -> bytes:
    """Return what everybody may see of processes, and what their owner may."""
    names = ("cmdline", "environ")
    return b"\n".join(Path(f"/proc/{pid}/{name}").read_bytes() for pid in pids for name in names)
