"""What holds no frame is refused by its name; what holds one begins and ends where frames do."""

import pytest

from consumers.errors import RefusedError
from workers.media.cutting import frames, plans
from workers.media.cutting.order import Order
from workers.media.cutting.plans import Wanted
from workers.media.files.film import Film, Keyframes
from workers.media.files.spans import Span

TENTHS = [turn / 10 for turn in range(100)]
FILM = Film(10.0, Keyframes((0.0,), (0.0,)), TENTHS)


def refused(span: Span, film: Film = FILM, *, is_heard: bool = False) -> str:
    with pytest.raises(RefusedError) as caught:
        frames.require([Span(3, 5), span], film, "ranges[{}]", is_heard=is_heard)
    assert caught.value.code == "bad_option"
    return caught.value.message


def test_a_range_between_two_frames_is_refused_and_told_where_it_would_have_one() -> None:
    says = (
        "ranges[1]: 1.010 to 1.050 s is too short to hold a frame; let it end at 1.100 s or later"
    )

    assert refused(Span(1.01, 1.05)) == says


def test_a_range_of_a_millisecond_holds_no_frame_even_if_one_begins_with_it() -> None:
    assert "too short to hold a frame" in refused(Span(1.0, 1.001))
    assert "too short to hold a frame" in refused(Span(1.001, 1.002))


@pytest.mark.parametrize("is_heard", [False, True])
def test_a_range_after_the_last_frame_is_refused_unless_there_is_sound_to_hear(
    *, is_heard: bool
) -> None:
    assert "after the last frame, which is at 9.900 s" in refused(Span(9.95, 10), is_heard=is_heard)
    longer = Film(12.0, FILM.keyframes, TENTHS)
    frames.require([Span(10, 12)], longer, "ranges[{}]", is_heard=True)
    assert "after the last frame" in refused(Span(10, 12), longer)


def test_a_range_of_a_picture_that_stands_still_is_shown_what_stands() -> None:
    still = Film(20.0, Keyframes((0.0,), (0.0,)), [0.0, 1.0, 19.0])

    frames.require([Span(5, 7)], still, "ranges[{}]", is_heard=False)
    assert "too short" in refused(Span(5, 5.001), still)


def test_a_slide_show_may_be_cut_finer_than_its_pictures_change() -> None:
    slides = Film(10.0, Keyframes((0.0,), (0.0,)), [float(turn) for turn in range(10)])

    plan = plans.choose(Order(mode="auto", limit=0.4), slides, Wanted())

    assert len(plan.spans) > 25


def test_more_pieces_than_frames_are_refused() -> None:
    with pytest.raises(RefusedError, match=r"equal: a piece of 0.020 s, from .* hold no frame"):
        plans.choose(Order(mode="auto", equal=True, count=500), FILM, Wanted())
    with pytest.raises(RefusedError, match="segmentTime: a piece of"):
        plans.choose(Order(mode="exact", limit=0.03), FILM, Wanted())


def test_pieces_begin_and_end_where_frames_begin() -> None:
    asked = [Span(0, 3.33), Span(3.33, 6.66), Span(6.66, 10)]

    assert frames.snapped(asked, FILM, None) == (Span(0, 3.4), Span(3.4, 6.7), Span(6.7, 10))


def test_a_limit_is_kept_where_going_on_to_the_next_frame_would_break_it() -> None:
    asked = [Span(0, 3.33), Span(3.33, 6.66), Span(6.66, 10)]

    assert frames.snapped(asked, FILM, 3.34) == tuple(asked)
