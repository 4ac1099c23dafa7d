"""The ways to cut a film that the media benchmark compares, each timed and then looked at."""

import asyncio
import math
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from media_source import counted_on
from tests.support.clip_reader import Account, Reading, account, lag, read_all
from tests.support.contexts import FakeContext

from workers import cutter
from workers.processor import Job

LIMIT = 30.0  # seconds a copied piece may last
UNEVEN = 30.7  # seconds of an exact piece: its cuts lie between the keyframes
PATIENCE = 3600.0  # seconds
COPIED = ("-map", "0:v", "-map", "0:a", "-c", "copy")
SEGMENTS = ("-f", "segment", "-segment_time", f"{LIMIT:g}", "-reset_timestamps", "1")
ENCODED = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-c:a", "copy")


@dataclass(frozen=True, slots=True)
class Film:
    """The film at work, an empty folder for results, and how often to measure short work."""

    path: Path
    seconds: float
    folder: Path
    rounds: int


@dataclass(frozen=True, slots=True)
class Row:
    """One way: the seconds it took, what came out in order, and what it was told to keep."""

    seconds: float
    pieces: tuple[Path, ...] = ()
    limit: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """What decoding the pieces showed."""

    longest: float  # seconds, by container or by picture
    frames: Account
    lag: float  # milliseconds, of the piece that is worst off


def cp(film: Film) -> Row:
    """Copy the file: no way of cutting is quicker."""
    return Row(_timed(film, "cp", lambda out: _run("cp", str(film.path), str(out / "copy.mp4"))))


def segment(film: Film) -> Row:
    """Let ffmpeg cut at the first keyframe after every limit, without encoding."""

    def cut(out: Path) -> None:
        _ffmpeg(film, *COPIED, *SEGMENTS, str(out / "%03d.mp4"))

    return Row(_timed(film, "segment", cut), _made(film, "segment"), LIMIT)


def auto(film: Film) -> Row:
    """Let the cutter keep the limit."""
    return _cutter(film, "auto", film.rounds, segmentTime=LIMIT)


def exact(film: Film) -> Row:
    """Let the cutter cut on the frame."""
    return _cutter(film, "exact", 1, segmentTime=UNEVEN, mode="exact")


def smartcut(film: Film) -> Row | None:
    """Let smartcut cut on the frame; it makes one piece at a time."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which("smartcut", path=beside) or shutil.which("smartcut")
    if program is None:
        return None
    edges = [UNEVEN * number for number in range(math.ceil(film.seconds / UNEVEN))]

    def cut(out: Path) -> None:
        for number, start in enumerate(edges):
            end = min(start + UNEVEN, film.seconds)
            piece = str(out / f"{number:03d}.mp4")
            _run(program, str(film.path), piece, "--keep", f"{start},{end}")

    return Row(_timed(film, "smartcut", cut, 1), _made(film, "smartcut"), UNEVEN)


def encode(film: Film) -> Row:
    """Encode all of it once, uncut: what exact cutting is compared with."""
    return Row(_timed(film, "encode", lambda o: _ffmpeg(film, *ENCODED, str(o / "whole.mp4")), 1))


PEERS: Mapping[str, str] = {"smartcut": "pip install --group bench"}  # not of this project
WAYS: Mapping[str, Callable[[Film], Row | None]] = {
    "cp": cp,
    "segment": segment,
    "auto": auto,
    "exact": exact,
    "smartcut": smartcut,
    "encode": encode,
}


def look(row: Row, source: Reading) -> Check:
    """Decode the pieces and compare them with the film they come from."""
    pieces = counted_on(list(read_all(row.pieces)))
    return Check(
        longest=max(max(piece.duration, piece.video_duration) for piece in pieces),
        frames=account(pieces, source.numbers),
        lag=1000 * max((lag(piece, source) for piece in pieces if piece.pips[0]), key=abs),
    )


def _cutter(film: Film, name: str, rounds: int, **asked: object) -> Row:
    """Run the processor as a worker does, on a new job each time."""
    results: list[Row] = []

    def cut(out: Path) -> None:
        source = out / film.path.name  # a job's file lies in the media folder
        source.hardlink_to(film.path)
        job = Job(id=name, queue="bench", data={"filePath": str(source), **asked})
        context = FakeContext(media=out, deadline=time.monotonic() + PATIENCE)
        result = asyncio.run(cutter.handle(job, context))
        pieces = tuple(Path(file.path) for file in result.files)
        limit = float(str(asked["segmentTime"]))
        results.append(Row(0.0, pieces, limit, str(result.data["mode"])))

    seconds = _timed(film, name, cut, rounds)
    last = results[-1]
    return Row(seconds, last.pieces, last.limit, last.note)


def _timed(film: Film, name: str, work: Callable[[Path], None], rounds: int = 0) -> float:
    """Return the median of the seconds that the work takes, each time in an empty folder."""
    taken = []
    for _ in range(rounds or film.rounds):
        out = film.folder / name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        begun = time.monotonic()
        work(out)
        taken.append(time.monotonic() - begun)
    return statistics.median(taken)


def _made(film: Film, name: str) -> tuple[Path, ...]:
    return tuple(sorted((film.folder / name).iterdir()))


def _ffmpeg(film: Film, *arguments: str) -> None:
    _run("ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(film.path), *arguments)


def _run(*command: str) -> None:
    """Run a program; what it says is shown when it fails."""
    ran = subprocess.run(
        command, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL, capture_output=True
    )
    if ran.returncode:
        sys.exit(f"{command[0]} failed: {ran.stderr.decode(errors='replace')[-2000:]}")
