"""One pass over a film: where its muxer cuts, what it keeps, which of its pieces were wanted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media.cutting import courses
from workers.media.cutting.passes import Pass, arranged
from workers.media.files.film import Film, Keyframes
from workers.media.files.spans import Span

FRAMES = [turn / 25 for turn in range(500)]
KEYS = tuple(float(second) for second in range(0, 20, 2))
FILM = Film(20.0, Keyframes(KEYS, KEYS), FRAMES)


def test_pieces_without_gaps_are_the_pieces_of_the_pass() -> None:
    (one,) = arranged([Span(0, 6), Span(6, 12), Span(12, 20)])

    assert one.cuts == (6, 12, 20)
    assert one.pieces() == (0, 1, 2)
    assert not one.has_gaps


def test_what_lies_between_the_spans_is_a_piece_too() -> None:
    (one,) = arranged([Span(8, 12), Span(2, 6)])

    assert one.cuts == (2, 6, 8, 12)
    assert (one.places, one.pieces()) == ((1, 0), (1, 3))
    assert one.has_gaps


def test_spans_that_overlap_are_made_in_passes_of_their_own() -> None:
    passes = arranged([Span(0, 6), Span(4, 8), Span(6, 12)])

    assert [one.places for one in passes] == [(0, 2), (1,)]


def test_a_copy_marks_the_keyframes_well_before_them_and_ends_after_its_last() -> None:
    course = courses.copying(Pass((Span(2, 6),), (0,)), FILM)

    assert course.marks == (1.5, 5.5)
    assert course.until == 7.0


def test_an_encoding_is_told_the_very_frames_to_begin_with() -> None:
    course = courses.encoding(Pass((Span(0, 6.89), Span(6.89, 20)), (0, 1)), FILM)

    assert course.keys == pytest.approx((6.92,))
    assert course.marks == pytest.approx((6.90,))
    assert course.until is None
    assert course.kept == ()


def test_an_encoding_drops_what_was_not_asked_for() -> None:
    course = courses.encoding(Pass((Span(2, 4), Span(8, 10)), (0, 1)), FILM)

    assert course.until == pytest.approx(9.98)
    assert "between(t,1.980000,3.980000)" in course.kept[0]


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0.1, 20)).map(lambda two: Span(two[0], sum(two))),
        min_size=1,
        max_size=20,
    )
)
def test_every_span_is_made_once_and_no_pass_holds_two_that_overlap(spans: list[Span]) -> None:
    passes = arranged(spans)

    assert sorted(place for one in passes for place in one.places) == list(range(len(spans)))
    for one in passes:
        ends = [span.end for span in one.spans]
        assert all(
            span.start >= end - 0.001 for span, end in zip(one.spans[1:], ends, strict=False)
        )
