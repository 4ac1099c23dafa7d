"""Where a file is cut: the choice of cut points."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media import cuts
from workers.media.cuts import Copy, Encode, Keyframes, Piece


def closed(*every: float) -> Keyframes:
    return Keyframes(clean=every, every=every)


def test_each_cut_is_the_last_clean_keyframe_that_fits() -> None:
    assert cuts.bounded((0, 2, 4, 6, 8, 10, 12), 13.0, 7.0) == (6, 12)


def test_a_keyframe_at_the_very_limit_is_too_late_because_containers_round_up() -> None:
    assert cuts.bounded((0, 6, 7, 12), 13.0, 7.0) == (6, 12)


def test_what_is_within_the_limit_is_not_cut() -> None:
    assert cuts.bounded((0, 10), 30.0, 30.0) == ()


def test_a_stretch_without_a_clean_keyframe_cannot_be_copied() -> None:
    assert cuts.bounded((0, 2, 12), 20.0, 7.0) is None


def test_auto_copies_where_it_can_and_encodes_where_it_cannot() -> None:
    assert cuts.choose("auto", closed(0, 5, 10), 12.0, 6.0) == Copy((5, 10), marks=(4.5, 9.5))
    assert isinstance(cuts.choose("auto", closed(0, 10), 12.0, 6.0), Encode)


def test_an_open_gop_is_not_a_place_to_cut() -> None:
    keyframes = Keyframes(clean=(0,), every=(0, 5, 10))

    assert isinstance(cuts.choose("auto", keyframes, 12.0, 6.0), Encode)


def test_exact_encodes_in_steps_a_little_under_the_limit() -> None:
    plan = cuts.choose("exact", closed(0, 5), 9.0, 6.0)

    assert isinstance(plan, Encode)
    assert plan.step == pytest.approx(5.9)


def test_copy_overshoots_to_the_next_keyframe_and_says_so() -> None:
    plan = cuts.choose("copy", closed(0, 9, 18), 20.0, 6.0)

    assert plan == Copy(
        (9, 18), (8.5, 17.5), ("the longest piece is 9.0 s, over the 6 s asked for",)
    )


def test_copy_uses_open_gops_when_there_is_nothing_else_and_says_what_it_costs() -> None:
    plan = cuts.choose("copy", Keyframes(clean=(0,), every=(0, 5, 10)), 12.0, 6.0)

    assert isinstance(plan, Copy)
    assert plan.cuts == (5, 10)
    assert "open GOPs" in plan.warnings[0]


def test_the_muxer_is_told_a_time_between_the_keyframe_and_the_one_before() -> None:
    assert cuts.marks((0.2, 9.0), (0, 0.1, 0.2, 9.0)) == pytest.approx((0.15, 8.5))


def test_the_pieces_get_the_seconds_of_the_plan_and_keep_the_length_they_play() -> None:
    pieces = cuts.recorded("a.mp4,0.000000,6.080000\nb.mp4,6.080000,8.080000\n")

    aligned = cuts.aligned(pieces, Copy((6.0,), (5.5,)), 8.0)

    assert [(piece.start, piece.end) for piece in aligned] == [(0.0, 6.0), (6.0, 8.0)]
    assert [piece.length for piece in aligned] == pytest.approx([6.08, 2.0])


def test_a_piece_over_the_limit_is_found() -> None:
    fine, long = Piece("a", 0, 6, 6.0), Piece("b", 6, 13, 7.2)

    assert cuts.over((fine, long), 7.0) == (long,)


@pytest.mark.parametrize(
    ("made", "expected", "short"),
    [(10.0, 10.0, False), (9.6, 10.0, False), (9.4, 10.0, True), (596.0, 600.0, False)],
)
def test_an_output_may_lack_half_a_second_or_a_hundredth(
    made: float, expected: float, *, short: bool
) -> None:
    assert cuts.is_short(made, expected) is short


gaps = st.lists(st.floats(0.04, 12.0), min_size=1, max_size=60)


@given(gaps, st.floats(0.5, 30.0))
def test_bounded_cuts_keep_the_limit_and_lie_on_keyframes(
    lengths: list[float], limit: float
) -> None:
    keyframes = [0.0]
    for length in lengths:
        keyframes.append(keyframes[-1] + length)
    duration = keyframes[-1] + 0.04

    chosen = cuts.bounded(keyframes, duration, limit)

    if chosen is None:
        assert max(*lengths, 0.04) > cuts.aim(limit) - 0.05
        return
    edges = (0.0, *chosen, duration)
    assert set(chosen) <= set(keyframes)
    assert all(0 < end - start <= limit for start, end in itertools.pairwise(edges))


@given(gaps, st.floats(0.5, 30.0))
def test_nearest_cuts_always_advance_and_lie_on_keyframes(
    lengths: list[float], limit: float
) -> None:
    keyframes = [0.0]
    for length in lengths:
        keyframes.append(keyframes[-1] + length)

    chosen = cuts.nearest(keyframes, keyframes[-1] + 0.04, limit)

    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(keyframes[1:])
