"""Which moments of a film its clip shows, and how large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media.previews import samples
from workers.media.previews.samples import RATE, Size


def test_a_long_film_is_sampled_across_and_may_begin_at_keyframes() -> None:
    chosen = samples.choose(0.0, 100.0, 7.5, 5)

    assert [sample.at for sample in chosen] == pytest.approx([9.848 + 19.696 * n for n in range(5)])
    assert all(sample.reach == pytest.approx(19.696) for sample in chosen)
    assert sum(sample.frames for sample in chosen) == 187
    assert {sample.exactly().reach for sample in chosen} == {0.0}


def test_a_film_whose_samples_could_share_a_keyframe_is_sampled_exactly() -> None:
    assert not any(sample.reach for sample in samples.choose(0.0, 30.0, 7.5, 5))


@pytest.mark.parametrize(
    ("duration", "seconds", "is_whole"),
    [(8.0, 7.5, True), (10.0, 7.5, True), (10.1, 7.5, False), (0.0, 7.5, True), (6.0, 3.0, False)],
)
def test_a_film_hardly_longer_than_its_clip_is_shown_whole(
    duration: float, seconds: float, *, is_whole: bool
) -> None:
    assert (samples.choose(0.0, duration, seconds, 5) == ()) is is_whole


@given(st.floats(0, 5), st.floats(0.01, 1e5), st.floats(0.5, 10), st.integers(1, 20))
def test_samples_lie_within_the_picture_and_make_no_more_than_was_asked_for(
    start: float, duration: float, seconds: float, count: int
) -> None:
    chosen = samples.choose(start, duration, seconds, count)

    assert all(start <= one.at <= start + duration - one.length + 1e-6 for one in chosen)
    assert all(one.frames >= 1 for one in chosen)
    assert sum(one.frames for one in chosen) <= seconds * RATE
    assert samples.beginning(seconds).length <= seconds


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
