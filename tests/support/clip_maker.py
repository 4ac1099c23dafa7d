"""One clip from its recipe: numbered pictures piped to ffmpeg, a tone with a pip each second."""

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tests.support import numbering

TOO_LONG = 60.0  # seconds one clip may take on a busy machine
# Light and dark by turns, so that a change of scene is one by any measure.
PALETTE: tuple[numbering.Colour, ...] = (
    (40, 90, 160),
    (240, 220, 120),
    (50, 20, 60),
    (130, 220, 230),
)
MATRIX_IN_TKHD = 44  # bytes from the box's name to its display matrix
CLOCKWISE = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)


@dataclass(frozen=True, slots=True)
class Sound:
    """A track: a low tone with a loud pip at each second, ``shift`` later."""

    shift: float = 0.0  # seconds
    silences: tuple[tuple[float, float], ...] = ()  # seconds
    seconds: float | None = None  # None: as long as the picture

    def source(self, seconds: float) -> str:
        """Return the track as ffmpeg's own generator writes it."""
        pip = f"0.8*sin(2000*PI*t)*lt(mod(t+1-{self.shift},1),0.05)"
        quiet = "".join(f"*(1-between(t,{start},{end}))" for start, end in self.silences)
        length = self.seconds or seconds
        return f"aevalsrc='(0.05*sin(880*PI*t)+{pip}){quiet}':s=48000:d={length:.6f}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a clip is made of; ``frames`` is 0 where there is no picture."""

    suffix: str
    frames: int
    rate: Fraction = Fraction(25)
    codec: tuple[str, ...] = ()
    size: tuple[int, int] = (320, 192)
    sounds: tuple[Sound, ...] = (Sound(),)
    sound_codec: tuple[str, ...] = ("-c:a", "aac")
    black: int = 0  # frames at the beginning without a picture and a number
    scenes: tuple[int, ...] = ()  # the frames at which another scene begins
    times: str = ""  # seconds by the frame's number, where they are not even
    late: float = 0.0  # seconds until the picture begins
    turned: bool = False  # stored lying, to be shown standing
    extras: tuple[tuple[str, str], ...] = ()  # further inputs: their names and their texts
    muxer: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long the picture lasts when its frames are even."""
        return float(self.frames / self.rate)


def make(recipe: Recipe, target: Path) -> None:
    """Write the clip; its folder also takes the extra inputs."""
    for name, text in recipe.extras:
        (target.parent / name).write_text(text)
    pictures = b"".join(_pictures(recipe))
    run_ffmpeg(*_inputs(recipe), *_outputs(recipe), target.name, folder=target.parent, fed=pictures)
    for name, _ in recipe.extras:
        (target.parent / name).unlink()
    if recipe.turned:
        _turn(target)


def run_ffmpeg(*arguments: str, folder: Path, fed: bytes = b"", patience: float = TOO_LONG) -> None:
    """Run ffmpeg in a folder; what it complains of goes into the error."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments]
    ran = subprocess.run(
        command, input=fed, capture_output=True, check=False, timeout=patience, cwd=folder
    )
    if ran.returncode:
        message = f"ffmpeg could not make {arguments[-1]}: {ran.stderr.decode()[-2000:]}"
        raise RuntimeError(message)


def _pictures(recipe: Recipe) -> Iterator[bytes]:
    for number in range(recipe.frames):
        if number < recipe.black:
            yield numbering.plain(numbering.BLACK)
        else:
            scene = sum(number >= start for start in recipe.scenes)
            yield numbering.drawn(number, PALETTE[scene % len(PALETTE)])


def _inputs(recipe: Recipe) -> list[str]:
    given: list[str] = []
    if recipe.frames:
        shape = f"{numbering.COLUMNS}x{numbering.ROWS}"
        given += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", shape]
        given += ["-r", str(recipe.rate), "-i", "pipe:0"]
    for sound in recipe.sounds:
        given += ["-f", "lavfi", "-i", sound.source(recipe.seconds)]
    for name, _ in recipe.extras:
        given += ["-i", name]
    return given


def _outputs(recipe: Recipe) -> list[str]:
    streams = bool(recipe.frames) + len(recipe.sounds)
    wanted: list[str] = []
    for index in range(streams + sum(name.endswith(".srt") for name, _ in recipe.extras)):
        wanted += ["-map", str(index)]
    if recipe.frames:
        wanted += ["-vf", _filters(recipe), "-fps_mode", "passthrough", *recipe.codec]
    if recipe.times:
        wanted += ["-enc_time_base", "1:90000"]
    # One thread writes the same file on every machine.
    return [*wanted, *recipe.sound_codec, *recipe.muxer, "-threads", "1"]


def _filters(recipe: Recipe) -> str:
    wide, high = recipe.size
    chain = [f"scale={high if recipe.turned else wide}:{wide if recipe.turned else high}"]
    chain[0] += ":flags=neighbor:out_range=tv"
    if recipe.turned:
        chain.append("transpose=cclock")
    if recipe.times:
        chain.append(f"settb=1/90000,setpts='({recipe.times})/TB'")
    if recipe.late:
        chain.append(f"setpts=PTS+{recipe.late}/TB")
    return ",".join(chain)


def _turn(target: Path) -> None:
    """Tell players to turn the picture clockwise: ffmpeg's option for it differs by version."""
    content = bytearray(target.read_bytes())
    place = content.index(b"tkhd") + MATRIX_IN_TKHD
    content[place : place + 36] = struct.pack(">9i", *CLOCKWISE)
    target.write_bytes(content)
