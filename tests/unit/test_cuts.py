"""What cutting is told in: frames, weights, marks, and the muxer's list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media.cutting import cuts
from workers.media.files.film import Film, Keyframes, Load
from workers.media.files.spans import Span


def film(frames: list[float], duration: float) -> Film:
    return Film(duration, Keyframes((0.0,), (0.0,)), frames)


def test_the_muxer_is_told_a_time_between_the_keyframe_and_the_one_before() -> None:
    assert cuts.marks((0.2, 9.0), (0, 0.1, 0.2, 9.0)) == pytest.approx((0.15, 8.5))


def test_the_muxers_list_is_read_and_its_other_lines_are_not() -> None:
    first, second = cuts.recorded("a.mp4,0.000000,6.080000\nrubbish\nb.mp4,6.080000,8.080000\n")

    assert (first.name, first.start, first.length) == ("a.mp4", 0.0, 6.08)
    assert second.length == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("made", "expected", "short"),
    [(10.0, 10.0, False), (9.6, 10.0, False), (9.4, 10.0, True), (596.0, 600.0, False)],
)
def test_an_output_may_lack_half_a_second_or_a_hundredth(
    made: float, expected: float, *, short: bool
) -> None:
    assert cuts.is_short(made, expected) is short


def test_a_span_holds_the_frames_that_begin_in_it() -> None:
    shown = film([0.0, 0.04, 0.08, 0.12], 0.16)

    assert shown.frames_of(Span(0.04, 0.12)) == 2
    assert shown.frames_of(Span(0.0405, 0.1205)) == 2  # clocks round to a millisecond
    assert shown.frames_of(shown.whole) == 4


def test_a_picture_stands_still_where_its_next_frame_is_long_in_coming() -> None:
    shown = film([0.0, 0.1, 5.0, 5.1], 5.2)

    assert shown.stands_still_at(2.0)
    assert not shown.stands_still_at(0.05)
    assert shown.stands_still_at(4.8)  # a piece that ended with the next frame would be too long
    assert not shown.stands_still_at(5.0)
    assert not shown.stands_still_at(5.15)  # nothing comes after it
    assert film([2.0, 2.1], 3.0).stands_still_at(1.9)  # nothing has come before


def test_a_picture_is_shown_again_where_it_stood_still_and_is_cut_and_nowhere_else() -> None:
    shown = film([0.0, 0.1, 5.0, 5.05, 8.0], 8.1)
    stills = shown.stills([0.0, 1.0, 2.0, 5.05])
    steady = shown.steadied(stills)

    assert stills == (range(3, 100),)
    assert list(steady.frames[:3]) == pytest.approx([0.0, 0.1, 0.15])
    assert list(steady.frames[-4:]) == pytest.approx([4.95, 5.0, 5.05, 8.0])


def test_what_is_cut_before_the_picture_begins_shows_its_first_frame() -> None:
    late = film([2.0, 2.1, 2.2], 3.0)

    assert late.stands_still_at(2.0)
    assert late.steadied(late.stills([2.0])).frames[0] == 0.0
    assert late.stills([2.1]) == ()


def test_the_weight_of_a_span_is_that_of_the_packets_in_it() -> None:
    load = Load((0.0, 1.0, 2.0, float("inf")), (0, 10, 30, 60))

    assert load.of(Span(0.0, 2.0)) == 30
    assert load.of(Span(1.0, 9.0)) == 50
    assert load.farthest(0.0, 35) == 2.0


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=50), st.integers(0, 3000))
def test_what_lies_before_the_farthest_moment_is_within_the_budget(
    sizes: list[int], budget: int
) -> None:
    before = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
    load = Load([*map(float, range(len(sizes))), float("inf")], before)

    far = load.farthest(0.0, budget)

    assert load.of(Span(0.0, far)) <= budget
