"""The film the media benchmark works on: 1080p, 4 Mbit/s, a keyframe every five seconds.

Seconds of it are encoded and joined to themselves, so an hour does not take one to make. Frames
carry numbers (which begin anew every twenty seconds) and a pip sounds each second, like those of
the tests' clips.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support import kept, numbering
from tests.support.clip_maker import Sound, run_ffmpeg
from tests.support.clip_reader import Reading

RATE = 30  # frames a second
TURN = 20  # seconds that are encoded
GOP = 5  # seconds
FRAMES = RATE * TURN
WHOLE = 8  # seconds: that many are a whole number of AAC's packets
PATIENCE = 600.0  # seconds

# Something to encode moves behind the numbers; noise makes the encoder use its bits.
PICTURE = (
    f"testsrc2=size=1920x1080:rate={RATE}:duration={TURN},noise=alls=12:allf=t[behind];"
    "[0:v]crop=10:3:0:1,scale=1920:540:flags=neighbor[digits];"
    "[behind][digits]overlay=0:180,format=yuv420p[v]"
)
ENCODED = (
    *("-c:v", "libx264", "-preset", "veryfast", "-b:v", "4M", "-maxrate", "4M", "-bufsize", "8M"),
    *("-g", str(RATE * GOP), "-keyint_min", str(RATE * GOP), "-sc_threshold", "0"),
)
SOUND = ("-c:a", "aac", "-b:a", "128k", "-ac", "2")


def film(minutes: int, target: Path) -> Path:
    """Write a film of that length and return it."""
    picture = kept.file("turn.mp4", f"{PICTURE}{ENCODED}", _encode)
    sound = kept.file("turn.aac", f"{WHOLE}{SOUND}", _sound)
    whole = target.with_suffix(".aac")
    whole.write_bytes(sound.read_bytes() * (minutes * 60 // WHOLE + 1))
    looped = ("-stream_loop", str(minutes * 60 // TURN - 1), "-i", str(picture), "-i", str(whole))
    mixed = ("-map", "0:v", "-map", "1:a", "-c", "copy", "-t", str(minutes * 60))
    joined = (*looped, *mixed, "-movflags", "+faststart", str(target))
    run_ffmpeg(*joined, folder=target.parent, patience=PATIENCE)
    whole.unlink()
    return target


def counted_on(pieces: list[Reading]) -> list[Reading]:
    """Return the pieces with numbers that go on where the film's begin anew."""
    last, counted = -1, []
    for piece in pieces:
        frames = []
        for frame in piece.frames:
            number = frame.number
            if number is not None:
                # The nearest to the one that is due, so that a step back stays one.
                due = last + 1
                number += (due - number + FRAMES // 2) // FRAMES * FRAMES
                last = number
            frames.append(replace(frame, number=number))
        counted.append(replace(piece, frames=tuple(frames)))
    return counted


def _sound(target: Path) -> None:
    """Write packets from the middle of a sound: at its beginning the encoder is warming up."""
    source = Sound(seconds=3.0 * WHOLE).source(0)
    run_ffmpeg("-f", "lavfi", "-i", source, *SOUND, target.name, folder=target.parent)
    packets = list(_packets(target.read_bytes()))
    count = WHOLE * 48000 // 1024
    # The encoder is one packet behind.
    target.write_bytes(b"".join(packets[count + 1 : 2 * count + 1]))


def _packets(stream: bytes) -> Iterator[bytes]:
    """Split a stream of AAC packets; each says its length in its header."""
    at = 0
    while at < len(stream):
        length = (stream[at + 3] & 3) << 11 | stream[at + 4] << 3 | stream[at + 5] >> 5
        yield stream[at : at + length]
        at += length


def _encode(target: Path) -> None:
    grey = (90, 90, 90)
    pictures = b"".join(numbering.drawn(number, grey) for number in range(FRAMES))
    shape = f"{numbering.COLUMNS}x{numbering.ROWS}"
    piped = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", shape, "-r", str(RATE), "-i", "pipe:0")
    shown = ("-filter_complex", PICTURE, "-map", "[v]")
    arguments = (*piped, *shown, *ENCODED, target.name)
    run_ffmpeg(*arguments, folder=target.parent, fed=pictures, patience=PATIENCE)
