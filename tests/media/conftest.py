"""Clips of every temper, made once per session with ffmpeg's own test pictures."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import kept
from tests.support.contexts import FakeContext
from tests.support.media_server import MediaServer, media_server

PICTURE = "testsrc2=size=320x192:rate=25:duration={}"
TONE = "sine=frequency=440:duration={}"


@dataclass(frozen=True)
class Clips:
    """Where the clips are; see the fixture for what each is like."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        return next(self.folder.glob(f"{name}.*"))


def make(target: Path, *arguments: str) -> Path:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments, str(target)]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return target


def film(target: Path, seconds: float, *options: str, picture: str = PICTURE) -> Path:
    inputs = (
        "-f",
        "lavfi",
        "-i",
        picture.format(seconds),
        "-f",
        "lavfi",
        "-i",
        TONE.format(seconds),
    )
    encoders = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
    return make(target, *inputs, *encoders, *options)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    folder = tmp_path_factory.mktemp("clips")
    closed = ("-x264-params", "keyint=50:min-keyint=50:scenecut=0:open-gop=0:bframes=2")
    long = film(folder / "closed_gop.mp4", 20, *closed, "-movflags", "+faststart")
    film(folder / "one_gop.mp4", 12, "-x264-params", "keyint=999:scenecut=0")
    film(folder / "open_gop.mp4", 16, "-preset", "veryfast", "-x264-params",
         "keyint=75:min-keyint=75:scenecut=0:open-gop=1:bframes=3:b-adapt=0")  # fmt: skip
    film(folder / "short.mp4", 3)
    film(folder / "few_frames.mp4", 0.12)
    film(folder / "transport.ts", 12, *closed, "-output_ts_offset", "1.4")
    black = "color=black:size=320x192:rate=25:duration=5[b];testsrc2=size=320x192:rate=25:"
    black += "duration={}[t];[b][t]concat"
    film(folder / "black_intro.mp4", 15, "-g", "25", picture=black)
    make(folder / "black.mp4", "-f", "lavfi", "-i", "color=black:size=64x64:duration=2", "-g", "10")
    make(folder / "tall.mp4", "-f", "lavfi", "-i", "testsrc2=size=608x1080:rate=10:duration=2")
    make(folder / "song.mp3", "-f", "lavfi", "-i", TONE.format(12))
    make(folder / "web.webm", "-f", "lavfi", "-i", PICTURE.format(6), "-c:v", "libvpx-vp9",
         "-deadline", "realtime", "-cpu-used", "8", "-g", "25")  # fmt: skip
    whole = long.read_bytes()
    (folder / "breaks_off.mp4").write_bytes(whole[: len(whole) * 7 // 10])
    (folder / "page.mp4").write_bytes(b"<html><body>not found</body></html>" * 40)
    (folder / "playlist.mp4").write_text(f"#EXTM3U\n#EXTINF:10,\n{folder / 'transport.ts'}\n")
    return Clips(folder)


@pytest.fixture
def context(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> FakeContext:
    roots = [str(tmp_path_factory.getbasetemp()), str(kept.ROOT)]  # where clips lie
    options = {"allow": ["127.0.0.0/8"], "roots": roots}
    return FakeContext(media=tmp_path / "media", options=options)


@pytest.fixture
def site() -> Iterator[MediaServer]:
    with media_server() as server:
        yield server
