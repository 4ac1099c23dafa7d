"""A picture of a sound: how loud it is, bar by bar, as a PNG.

Pure. The loudest bar fills the height, so that quiet recordings show their shape as well.
"""

import re
import struct
import zlib
from collections.abc import Sequence

BARS = 320
PITCH, BAR = 4, 3  # pixels from one bar to the next, and of the bar itself
WIDTH, HEIGHT = BARS * PITCH, 360
MARGIN = 20  # pixels that stay free above and below
PAPER, INK = (18, 24, 38), (92, 200, 255)
SILENT = 0.001  # of full scale: below that nobody hears anything
CLOCK = 16_000  # samples a second that are looked at
MOST_SAMPLES = 1 << 22  # of one reading: a header may claim any duration

_PEAK = re.compile(r"Peak_level=(-?(?:inf|[\d.]+))")


def window(duration: float) -> int:
    """Return how many samples make a bar."""
    return min(MOST_SAMPLES, max(32, round(duration * CLOCK / BARS)))


def levels(report: Sequence[str]) -> tuple[float, ...]:
    """Return the peaks that ``astats`` wrote in dB, as shares of full scale."""
    found = (match.group(1) for line in report if (match := _PEAK.search(line)))
    return tuple(0.0 if "inf" in peak else min(1.0, 10 ** (float(peak) / 20)) for peak in found)


def bars(peaks: Sequence[float]) -> tuple[float, ...]:
    """Return the height of each bar, 0 to 1, of however many peaks there are."""
    if not is_heard(peaks):
        return (0.0,) * BARS
    loudest, count = max(peaks), len(peaks)
    edges = [index * count // BARS for index in range(BARS + 1)]
    return tuple(
        max(peaks[edges[index] : max(edges[index + 1], edges[index] + 1)]) / loudest
        for index in range(BARS)
    )


def is_heard(peaks: Sequence[float]) -> bool:
    """Say whether there is anything to hear."""
    return max(peaks, default=0.0) >= SILENT


def picture(heights: Sequence[float]) -> bytes:
    """Return the PNG of these bars, the same above and below the middle."""
    middle = HEIGHT // 2
    reach = [max(1, round(height * (middle - MARGIN))) for height in heights]
    half = [_row(reach, distance) for distance in range(middle)]
    return _png([*reversed(half), *half])


def _row(reach: Sequence[int], distance: int) -> bytes:
    drawn, blank = b"\1" * BAR + b"\0" * (PITCH - BAR), b"\0" * PITCH
    return b"".join(drawn if distance < each else blank for each in reach)


def _png(rows: Sequence[bytes]) -> bytes:
    """Return the picture of rows of palette indexes (PNG, third edition)."""
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    colours = bytes((*PAPER, *INK))
    chunks = ((b"IHDR", head), (b"PLTE", colours), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
