"""What a preview shows: moments, sizes, and whether a poster shows anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media import samples
from workers.media.samples import Luma, Sample, Size


def test_a_long_film_is_sampled_five_times_the_quick_way_first() -> None:
    quick, slow, beginning = samples.clips(0.0, 100.0)

    assert [part.at for part in quick] == pytest.approx([9.85, 29.55, 49.25, 68.95, 88.65])
    assert all(part.fast for part in quick)
    assert [part.at for part in slow] == [part.at for part in quick]
    assert beginning == (Sample(0.0, 7.5),)


def test_a_film_whose_samples_could_share_a_keyframe_is_not_sampled_the_quick_way() -> None:
    assert not any(part.fast for way in samples.clips(0.0, 30.0) for part in way)


def test_a_short_film_is_shown_whole() -> None:
    assert samples.clips(0.0, 8.0)[0] == (Sample(0.0, 8.0),)


@given(st.floats(0, 5), st.floats(0.01, 1e5))
def test_samples_lie_within_the_picture_and_make_ten_seconds_at_most(
    start: float, duration: float
) -> None:
    first, *others = samples.clips(start, duration)

    assert all(part.at + part.length <= start + duration + 1e-6 for part in first)
    assert all(sum(part.length for part in way) <= samples.SHORT for way in (first, *others))


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (1920, 1080, Size(854, 480)),
        (1080, 1920, Size(270, 480)),
        (320, 192, Size(320, 192)),
        (641, 481, Size(640, 480)),
        (4000, 2, Size(4000, 2)),
        (1, 3000, Size(2, 480)),
    ],
)
def test_a_picture_is_made_smaller_never_larger_and_even(
    width: int, height: int, size: Size
) -> None:
    assert samples.fit(width, height, 480) == size


def test_a_poster_is_looked_for_among_keyframes_first_and_each_look_has_its_own_file() -> None:
    looks = samples.looks(2.0, 100.0)

    assert [look.at for look in looks[:4]] == [12.0, 27.0, 52.0, 77.0]
    assert [look.keyframes for look in looks[:4]] == [True] * 4
    assert len({look.name for look in looks}) == len(looks)


def test_the_brightness_is_read_from_what_the_filter_printed() -> None:
    report = ["frame:0", "lavfi.signalstats.YAVG=116.5", "lavfi.signalstats.YLOW=40"]
    report += ["lavfi.signalstats.YHIGH=200", "lavfi.signalstats.YDIF=0"]

    assert samples.luma(report) == Luma(116.5, 160.0)
    assert samples.luma([]) is None


@pytest.mark.parametrize(
    ("mean", "spread", "worth"),
    [(116, 100, True), (16, 0, False), (120, 3, False), (20, 90, False)],
)
def test_black_and_blank_pictures_show_nothing(mean: float, spread: float, *, worth: bool) -> None:
    assert Luma(mean, spread).shows_something is worth
