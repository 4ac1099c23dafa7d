"""How an order is carried out: where a film is copied, where it must be encoded."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.errors import RefusedError
from workers.media.cutting import plans
from workers.media.cutting.cuts import Copy, Encode
from workers.media.cutting.order import Order
from workers.media.cutting.plans import Slack, Wanted
from workers.media.files.film import Film, Keyframes, Load
from workers.media.files.spans import SAME, Span, between
from workers.media.presets import Mode

NOTHING = Wanted()
MODES: tuple[Mode, ...] = ("auto", "copy", "exact")


def film(duration: float, *clean: float, every: tuple[float, ...] = (), weight: float = 0) -> Film:
    """A film of 25 frames a second, and a frame at each keyframe, each so many bytes."""
    paced = (turn / 25 for turn in range(math.ceil(duration * 25)))
    frames = sorted({*paced, *clean, *every})
    load = Load([*frames, math.inf], [weight * turn for turn in range(len(frames) + 1)])
    return Film(duration, Keyframes(clean, every or clean), frames, load)


def edges(plan: Copy | Encode) -> list[float]:
    for before, after in itertools.pairwise(plan.spans):
        assert after.start == pytest.approx(before.end, abs=SAME)
    return [round(span.start, 3) for span in plan.spans] + [round(plan.spans[-1].end, 3)]


def limited(limit: float | None = 7.0, **more: object) -> Order:
    return Order(mode="auto", limit=limit, **more)  # type: ignore[arg-type] # named by each test


def copied(
    order: Order, source: Film, wanted: Wanted = NOTHING, slack: Slack = plans.UNTAUGHT
) -> Copy:
    plan = plans.choose(order, source, wanted, slack)
    assert isinstance(plan, Copy)
    return plan


def encoded(order: Order, source: Film, wanted: Wanted = NOTHING) -> Encode:
    plan = plans.choose(order, source, wanted)
    assert isinstance(plan, Encode)
    return plan


EVERY_TWO = film(13, 0, 2, 4, 6, 8, 10, 12)


def test_each_cut_is_the_last_clean_keyframe_that_fits() -> None:
    assert edges(copied(limited(), EVERY_TWO)) == [0, 6, 12, 13]


def test_a_keyframe_at_the_very_limit_is_too_late_because_sound_rounds_up() -> None:
    assert edges(copied(limited(), film(13, 0, 6, 7, 12))) == [0, 6, 12, 13]


def test_what_is_within_the_limit_is_not_cut() -> None:
    assert edges(copied(limited(30), film(30, 0, 10))) == [0, 30]


def test_what_came_out_too_long_although_not_cut_is_cut() -> None:
    assert edges(copied(limited(30), film(30, 0, 10), slack=Slack(0.1))) == [0, 10, 30]


def test_a_stretch_without_a_clean_keyframe_is_encoded_and_the_reason_said() -> None:
    plan = encoded(limited(), film(20, 0, 2, 12))

    assert plan.why == "the clean keyframes are too far apart for pieces of 7 s"
    assert edges(plan) == [0, 6.88, 13.76, 20]


def test_no_scrap_is_left_at_the_end_where_the_piece_before_can_share() -> None:
    assert edges(encoded(limited(height=160), film(14, 0))) == [0, 6.88, 10.44, 14]
    assert edges(copied(limited(), film(14, 0, 6.8, 10, 13.5))) == [0, 6.8, 10, 14]
    assert edges(encoded(limited(height=160), film(7.04, 0))) == [0, 3.52, 7.04]


def test_a_scrap_stays_where_the_cut_before_it_was_asked_for_or_there_is_no_other() -> None:
    scene = Wanted(points=(Span(13.7, 13.7),))

    assert edges(encoded(limited(height=160), film(14.2, 0), scene)) == [0, 6.88, 13.72, 14.2]
    assert edges(copied(limited(), film(14, 0, 6.8, 13.5))) == [0, 6.8, 13.5, 14]
    every = dataclasses.replace(limited(6), mode="exact")
    assert edges(encoded(every, film(12.3, 0))) == [0, 6, 12, 12.3]


def test_an_open_gop_is_not_a_place_to_cut() -> None:
    encoded(limited(), film(12, 0, every=(0, 5, 10)))


def test_where_only_sound_is_left_it_may_be_cut_anywhere() -> None:
    source = Film(20.0, Keyframes((0.0, 4.0), (0.0, 4.0)), [0.0, 4.0, 7.0])

    assert edges(copied(limited(), source)) == [0, 4, 10.9, 17.8, 20]


def test_a_picture_that_stands_still_longer_than_a_piece_is_shown_again() -> None:
    source = Film(20.0, Keyframes((0.0,), (0.0,)), [0.0, 1.0, 19.0])
    plan = encoded(limited(), source)

    assert plan.is_steady
    assert all(span.length <= 7 for span in plan.spans)


def test_ranges_on_clean_keyframes_are_copied_and_others_encoded() -> None:
    spans = (Span(2, 6), Span(8, 13))

    assert copied(limited(None), EVERY_TWO, Wanted(spans)).spans == spans
    plan = encoded(limited(None), EVERY_TWO, Wanted((Span(2.52, 6),)))
    assert plan.spans == (Span(2.52, 6),)


def test_a_range_between_two_frames_begins_with_the_next_if_that_is_a_keyframe() -> None:
    assert copied(limited(None), EVERY_TWO, Wanted((Span(1.97, 6),))).spans == (Span(2, 6),)


def test_ranges_over_the_limit_are_cut_further() -> None:
    assert edges(copied(limited(), EVERY_TWO, Wanted((Span(2, 12),)))) == [2, 8, 12]


def test_every_point_is_a_cut_when_there_is_no_limit() -> None:
    points = (Span(3.5, 4.5), Span(7.9, 8.4))

    assert edges(copied(limited(None), EVERY_TWO, Wanted(points=points))) == [0, 4, 8, 13]


def test_a_point_without_a_keyframe_in_it_is_encoded_in_its_middle() -> None:
    plan = encoded(limited(None), EVERY_TWO, Wanted(points=(Span(4.5, 5.5),)))

    assert plan.spans == (Span(0, 5), Span(5, 13))


def test_with_a_limit_points_are_preferred_and_keyframes_fill_in() -> None:
    points = (Span(1.5, 2.5), Span(3.5, 4.5))

    assert edges(copied(limited(), EVERY_TWO, Wanted(points=points))) == [0, 4, 10, 13]


def test_equal_pieces_are_as_few_as_the_limit_allows() -> None:
    source = film(20, *range(20))

    assert edges(copied(limited(equal=True), source)) == [0, 7, 13, 20]


def test_equal_pieces_that_keyframes_would_make_unequal_are_encoded() -> None:
    plan = encoded(limited(equal=True), film(20, 0, 2, 12))

    assert plan.why == "no clean keyframe is near enough to every cut between equal pieces"
    assert edges(plan) == [0, 6.68, 13.36, 20]


def test_a_number_of_pieces_is_that_number() -> None:
    assert len(encoded(limited(None, equal=True, count=7), film(20, 0)).spans) == 7


def test_pieces_by_size_hold_what_the_packets_weigh() -> None:
    order = limited(None, size=100_000)
    plan = copied(order, film(20, *range(0, 20, 2), weight=1000))

    assert edges(plan) == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
    lighter = copied(order, film(20, *range(0, 20, 2), weight=400))
    assert edges(lighter) == [0, 8, 16, 20]


def test_a_film_encoded_by_size_is_told_how_fast_it_may_be() -> None:
    order, source = limited(None, size=100_000), film(20, 0, weight=400)
    plan = encoded(order, source)

    rate = plans.rate(order, source, plan.spans, plans.UNTAUGHT)
    assert rate is not None
    assert max(span.length for span in plan.spans) * rate / 8 < 100_000
    assert plans.rate(limited(), source, plan.spans, plans.UNTAUGHT) is None


def test_copy_takes_the_next_keyframe_where_none_fits_and_says_so() -> None:
    plan = copied(Order(mode="copy", limit=6), film(20, 0, 9, 18))

    assert edges(plan) == [0, 9, 18, 20]
    assert plan.warnings == ("the longest piece is 9.0 s, over the 6 s asked for",)


def test_copy_uses_open_gops_when_there_is_nothing_else_and_says_what_it_costs() -> None:
    plan = copied(Order(mode="copy", limit=6), film(12, 0, every=(0, 5, 10)))

    assert edges(plan) == [0, 5, 10, 12]
    assert "open GOPs" in plan.warnings[0]


def test_copied_ranges_hold_all_that_was_asked_for_and_touch_where_they_touched() -> None:
    wanted = Wanted((Span(2.5, 5), Span(5, 9)))

    assert copied(Order(mode="copy"), EVERY_TWO, wanted).spans == (Span(2, 4), Span(4, 10))


def test_ranges_between_the_same_keyframes_share_a_piece_and_that_is_said() -> None:
    wanted = Wanted(spans=(Span(2.5, 3), Span(2.1, 3.9)))

    plan = copied(Order(mode="copy"), EVERY_TWO, wanted)

    assert plan.spans == (Span(2, 4),)
    assert plan.warnings == (
        "ranges: 1 lie between the same keyframes as others, and share their pieces",
    )


def test_a_film_of_one_gop_is_not_said_to_have_open_ones() -> None:
    assert copied(Order(mode="copy"), film(12, 0, every=(0,))).warnings == ()


def test_exact_and_scaled_pieces_are_encoded() -> None:
    exact = encoded(Order(mode="exact", limit=7), EVERY_TWO)
    assert exact.why == "exact cuts were asked for"
    assert encoded(limited(height=240), EVERY_TWO).why == "scaled to 240 lines"


def test_too_many_pieces_are_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        plans.choose(limited(0.01), film(20, 0), NOTHING)

    assert caught.value.code == "too_many_pieces"


gaps = st.lists(st.floats(0.05, 12.0), min_size=1, max_size=40)


@given(gaps, st.floats(0.5, 30.0), st.sampled_from(MODES))
def test_every_plan_covers_the_film_without_gap_or_overlap(
    lengths: list[float], limit: float, mode: Mode
) -> None:
    keys = [0.0]
    for length in lengths:
        keys.append(keys[-1] + length)
    source = film(keys[-1] + 0.04, *keys)
    plan = plans.choose(Order(mode=mode, limit=limit), source, NOTHING)

    assert edges(plan)[0] == 0.0
    assert edges(plan)[-1] == pytest.approx(source.duration, abs=0.001)
    if mode != "copy":
        assert all(span.length <= limit + SAME for span in plan.spans)


def test_cuts_divide_the_whole_and_those_outside_it_are_left_out() -> None:
    assert between([5, 0, 30], Span(0, 20)) == (Span(0, 5), Span(5, 20))
