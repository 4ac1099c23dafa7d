"""When the pips of a sound track begin: a loud tone after at least a tenth of a second without."""

import array
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TOO_LONG = 60.0  # seconds
RATE = 8000  # samples a second
WINDOW = 8  # samples: the answer is as fine as one millisecond
LOUD = 0.3  # of the loudest window
AUDIBLE = 1000  # of 32768: below that there is no pip in the track, only its tone
APART = 0.1  # seconds of calm before a pip; a piece that begins within one does not count it


def heard(path: Path, track: int) -> tuple[float, ...]:
    """Return the seconds at which pips begin, by the file's own timestamps."""
    samples = _decoded(path, track)
    levels = [
        max(map(abs, samples[start : start + WINDOW])) for start in range(0, len(samples), WINDOW)
    ]
    loudest = max(levels, default=0)
    if loudest < AUDIBLE * 5:
        return ()
    return tuple(_onsets(levels, loudest * LOUD))


def _onsets(levels: list[int], loud: float) -> Iterator[float]:
    calm_since = None
    for index, level in enumerate(levels):
        if level == 0 and calm_since is None:
            continue
        if level < loud:
            calm_since = index if calm_since is None else calm_since
            continue
        if calm_since is not None and (index - calm_since) * WINDOW / RATE >= APART:
            yield index * WINDOW / RATE
        calm_since = None


def _decoded(path: Path, track: int) -> "array.array[int]":
    """Return the track from second 0 on, gaps filled with silence."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-copyts", "-i", f"file:{path}"]
    command += ["-map", f"0:a:{track}", "-af", f"aresample={RATE}:async=1:first_pts=0"]
    command += ["-ac", "1", "-f", "s16le", "pipe:1"]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=TOO_LONG)
    samples = array.array("h", ran.stdout[: len(ran.stdout) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples
