"""What became of a numbered clip: which frames a file shows, when, and when its pips sound.

    source, pieces = original(Clip.CLOSED_GOP), read_all(paths)
    assert account(pieces, source.numbers).is_exact
    assert all(piece.duration <= 7.0 and abs(lag(piece, source)) <= 0.045 for piece in pieces)

The file is decoded as a player shows it: turned, edit lists obeyed, its own timestamps kept
(``-copyts``; without it ffmpeg moves the beginning to 0 and picture and sound seem to part).
"""

import re
import statistics
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec

from tests.support import numbering, pips
from tests.support.clips import Clip, clip

TOO_LONG = 600.0  # seconds, for the ten minutes of a benchmark; tests have limits of their own
SHOWN = re.compile(r"\bn: *\d+ pts: *\S+ +pts_time: *(\S+)")
COMPLAINT = re.compile(r"\[(?:error|fatal|panic)\] ?(.*)")
PICTURES = f"scale={numbering.COLUMNS}:{numbering.ROWS}:flags=area,format=gray"
# The raw muxer counts frames, not seconds: it complains where times are finer than its clock.
EVEN = "settb=1/1000,setpts=N*1000"


class ReadingError(Exception):
    """A file that cannot be read as a clip at all."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture and when it is shown, in seconds of its file; no number where none is readable."""

    number: int | None
    time: float


@dataclass(frozen=True, slots=True)
class Reading:
    """All that is in one file, in the order in which it is shown."""

    path: Path
    duration: float  # seconds, as the container says
    video_duration: float  # seconds, as the stream says, else from the first frame to the last
    frames: tuple[Frame, ...]
    pips: tuple[tuple[float, ...], ...]  # seconds, of each sound track
    complaints: tuple[str, ...]  # of the decoder

    @property
    def numbers(self) -> tuple[int | None, ...]:
        """The frames' numbers as they come."""
        return tuple(frame.number for frame in self.frames)


@dataclass(frozen=True, slots=True)
class Account:
    """What pieces lack and what they have too much, beside the frames expected of them."""

    missing: tuple[int, ...] = ()
    repeated: tuple[int, ...] = ()
    disordered: tuple[tuple[int, int], ...] = ()  # a number, and the lower one shown after it
    unreadable: int = 0

    @property
    def is_exact(self) -> bool:
        """Every frame once, in order, and all of them readable."""
        return self == Account()


class _Stream(msgspec.Struct):
    codec_type: str = ""
    duration: str = ""
    disposition: dict[str, int] = {}

    @property
    def is_film(self) -> bool:
        """A cover image is a video stream to ffmpeg, not to us."""
        return self.codec_type == "video" and not self.disposition.get("attached_pic")


class _Format(msgspec.Struct):
    duration: str = "0"


class _Answer(msgspec.Struct):
    streams: list[_Stream] = []
    format: _Format = msgspec.field(default_factory=_Format)


def read(path: Path, *, sound: bool = True) -> Reading:
    """Return what a file shows, and unless told otherwise when it sounds.

    Raises:
        ReadingError: it cannot be opened, or has neither picture nor sound.
    """
    told = _described(path)
    films = [stream for stream in told.streams if stream.is_film]
    tracks = sum(stream.codec_type == "audio" for stream in told.streams)
    if not films and not tracks:
        message = f"{path} holds neither picture nor sound"
        raise ReadingError(message)
    frames, complaints = _film(path) if films else ((), ())
    return Reading(
        path=path,
        duration=float(told.format.duration),
        video_duration=_length(films[0], frames) if films else 0.0,
        frames=frames,
        pips=tuple(pips.heard(path, track) for track in range(tracks)) if sound else (),
        complaints=complaints,
    )


@cache
def original(asked: Clip) -> Reading:
    """Return what a clip shows as it was made; it is decoded once in a process."""
    return read(clip(asked))


def read_all(paths: Iterable[Path], *, sound: bool = True) -> tuple[Reading, ...]:
    """Return what each of the pieces shows."""
    return tuple(read(path, sound=sound) for path in paths)


def account(pieces: Iterable[Reading], expected: Iterable[int | None]) -> Account:
    """Compare the frames of all pieces, one after the other, with those expected.

    Frames without a number (a black intro) are counted: one more or less is ``unreadable``.
    """
    shown = [number for piece in pieces for number in piece.numbers]
    wanted = list(expected)
    numbers = [number for number in shown if number is not None]
    due = [number for number in wanted if number is not None]
    blank = (len(shown) - len(numbers)) - (len(wanted) - len(due))
    return Account(
        missing=tuple(sorted((Counter(due) - Counter(numbers)).elements())),
        repeated=tuple(sorted((Counter(numbers) - Counter(due)).elements())),
        disordered=tuple((one, next_) for one, next_ in pairwise(numbers) if next_ < one),
        unreadable=abs(blank),
    )


def lag(piece: Reading, source: Reading, track: int = 0) -> float:
    """Return by how many seconds the sound comes later in the piece than it does in the source.

    It is that of the pip that is worst off, negative when it comes too early.

    Raises:
        ReadingError: they share no frame, or the piece has no pip to go by.
    """
    moved = shift(piece, source)
    sounded = source.pips[track] if track < len(source.pips) else ()
    heard = piece.pips[track] if track < len(piece.pips) else ()
    if not heard or not sounded:
        message = f"{piece.path}: no pip in sound track {track}, or none in {source.path}"
        raise ReadingError(message)
    return max((_nearest(pip - moved, sounded) for pip in heard), key=abs)


def shift(piece: Reading, source: Reading) -> float:
    """Return by how many seconds the pictures of the piece are later than in the source."""
    return statistics.median(_moves(piece, source))


def jitter(piece: Reading, source: Reading) -> float:
    """Return the most by which a picture's time strays from the source's, in seconds."""
    moves = _moves(piece, source)
    middle = statistics.median(moves)
    return max(abs(move - middle) for move in moves)


def tiles(path: Path, columns: int, rows: int) -> tuple[int | None, ...]:
    """Return the numbers in a sheet of pictures, row by row."""
    pixels, _ = _decoded(path, f"untile={columns}x{rows},{PICTURES}")
    return tuple(_numbers(pixels))


def _moves(piece: Reading, source: Reading) -> list[float]:
    times = {frame.number: frame.time for frame in source.frames if frame.number is not None}
    moves = [frame.time - times[frame.number] for frame in piece.frames if frame.number in times]
    if not moves:
        message = f"{piece.path} shows no frame of {source.path}"
        raise ReadingError(message)
    return moves


def _nearest(moment: float, moments: Sequence[float]) -> float:
    return min((moment - other for other in moments), key=abs)


def _film(path: Path) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    pixels, said = _decoded(path, f"{PICTURES},showinfo=checksum=0,{EVEN}")
    times = [float(time) for time in SHOWN.findall(said)]
    numbers = _numbers(pixels)
    if len(times) != len(numbers):
        message = f"{path}: {len(numbers)} pictures but {len(times)} times were decoded"
        raise ReadingError(message)
    frames = tuple(Frame(number, time) for number, time in zip(numbers, times, strict=True))
    return frames, tuple(COMPLAINT.findall(said))


def _numbers(pixels: bytes) -> list[int | None]:
    size = numbering.FIELDS
    starts = range(0, len(pixels) - size + 1, size)
    return [numbering.recognised(pixels[start : start + size]) for start in starts]


def _decoded(path: Path, filters: str) -> tuple[bytes, str]:
    command = ["ffmpeg", "-nostdin", "-nostats", "-v", "level+info", "-copyts"]
    command += ["-i", f"file:{path}", "-map", "0:V:0", "-vf", filters]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=TOO_LONG)
    said = ran.stderr.decode(errors="replace")
    if ran.returncode and not ran.stdout:
        message = f"{path} cannot be decoded: {said[-1000:]}"
        raise ReadingError(message)
    return ran.stdout, said


def _length(film: _Stream, frames: tuple[Frame, ...]) -> float:
    """Return how long the picture lasts; where nobody says, its last frame as long as most."""
    if film.duration:
        return float(film.duration)
    times = [frame.time for frame in frames]
    steps = [after - before for before, after in pairwise(times)]
    return times[-1] - times[0] + statistics.median(steps) if steps else 0.0


def _described(path: Path) -> _Answer:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams"]
    command += [f"file:{path}"]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=TOO_LONG)
    if ran.returncode:
        message = f"{path} cannot be opened: {ran.stderr.decode(errors='replace').strip()}"
        raise ReadingError(message)
    return msgspec.json.decode(ran.stdout, type=_Answer)
