"""The picture of a sound: its bars, and the PNG they make."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media.previews import waveform
from workers.media.previews.waveform import BARS, HEIGHT, WIDTH


def test_peaks_are_read_as_shares_of_full_scale() -> None:
    report = ["frame:0", "lavfi.astats.Overall.Peak_level=-20.000000"]
    report += ["lavfi.astats.Overall.Peak_level=-inf", "lavfi.astats.Overall.Peak_level=0.4"]

    assert waveform.levels(report) == pytest.approx((0.1, 0.0, 1.0))


@pytest.mark.parametrize(("seconds", "samples"), [(320.0, 16_000), (0.01, 32), (1e9, 1 << 22)])
def test_a_bar_is_made_of_its_share_of_the_sound_within_bounds(
    seconds: float, samples: int
) -> None:
    assert waveform.window(seconds) == samples


@given(st.lists(st.floats(0, 1), min_size=1, max_size=1000))
def test_there_are_always_as_many_bars_and_the_loudest_is_full(peaks: list[float]) -> None:
    bars = waveform.bars(peaks)

    assert len(bars) == BARS
    assert max(bars) == (1.0 if waveform.is_heard(peaks) else 0.0)


def test_the_picture_is_a_png_that_is_highest_where_it_is_loudest() -> None:
    drawn = waveform.picture((1.0, *([0.0] * (BARS - 1))))

    assert struct.unpack(">II", drawn[16:24]) == (WIDTH, HEIGHT)
    start = drawn.index(b"IDAT") + 4
    length = int.from_bytes(drawn[start - 8 : start - 4])
    rows = zlib.decompress(drawn[start : start + length])
    ink = [rows[row * (WIDTH + 1) + 1 :][:WIDTH].count(1) for row in range(HEIGHT)]
    assert (ink[0], ink[30], ink[HEIGHT // 2]) == (0, 3, 3 * BARS)
