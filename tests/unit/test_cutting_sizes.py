"""How long encoded pieces of a size may be, and where they would be too short to be of use."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.errors import RefusedError
from workers.media.cutting import sizes, verdicts
from workers.media.cutting.cuts import Piece
from workers.media.cutting.order import Order
from workers.media.cutting.plans import MARGIN, TABLES, Slack
from workers.media.files.film import Film, Keyframes, Load

MINUTE = 60.0


def film(picture: float, sound: float = 0.0) -> Film:
    """A minute of so many bytes a second."""
    load = Load.even(MINUTE, MINUTE * (picture + sound))
    return Film(MINUTE, Keyframes((0.0,), (0.0,)), [0.0, 59.9], load, MINUTE * sound)


def seconds(source: Film, budget: float, weight: float = 1.0, *, is_rated: bool = True) -> float:
    """How long a piece is planned to be."""
    return budget / (sizes.load(source, weight, budget, is_rated=is_rated).total / MINUTE)


def test_a_piece_is_as_long_as_its_picture_is_likely_to_allow() -> None:
    assert seconds(film(100_000), 400_000) == pytest.approx(4)
    assert seconds(film(100_000), 400_000, weight=0.25) == pytest.approx(16)
    assert seconds(film(40_000, sound=60_000), 400_000, weight=0.5) == pytest.approx(5)


def test_a_picture_is_made_worse_before_pieces_are_shorter_than_two_seconds() -> None:
    assert seconds(film(100_000), 100_000) == pytest.approx(2)
    assert seconds(film(100_000), 40_000) == pytest.approx(1.6)


def test_what_is_copied_is_not_made_worse() -> None:
    assert seconds(film(100_000), 150_000, is_rated=False) == pytest.approx(1.5)


@pytest.mark.parametrize("is_rated", [True, False])
@given(picture=st.floats(1e3, 1e8), sound=st.floats(0, 1e5))
def test_pieces_shorter_than_a_second_are_refused_with_a_size_that_will_do(
    *, picture: float, sound: float, is_rated: bool
) -> None:
    source = film(picture, sound)
    with pytest.raises(RefusedError, match=r"maxSize: .* shorter than a second") as caught:
        sizes.load(source, 1.0, (picture / 4 + sound) * 0.9 - 4000, is_rated=is_rated)

    advised = re.search(r"at least (\d+) kB", caught.value.message)
    assert advised is not None
    budget = int(advised[1]) * 1000 * MARGIN - TABLES
    assert seconds(source, budget, is_rated=is_rated) >= 1


@given(st.floats(1.0, 100.0), st.floats(5e4, 1e9))
def test_a_piece_at_its_rate_and_ahead_of_it_is_within_its_size(
    longest: float, size: float
) -> None:
    rate = sizes.rate(film(100_000), size, longest)

    most = rate / 8 * (longest + sizes.ahead(longest))
    assert most <= size or rate == sizes.SLOWEST


def pieces(count: int, size: int) -> list[Piece]:
    return [Piece("a.mp4", 0.0, 2.0, 2.0, size=size)] * count


def test_pieces_that_came_out_under_half_their_size_are_weighed_once() -> None:
    order, source = Order(mode="auto", size=100_000), film(40_000)

    light = verdicts.lighter(pieces(30, 40_000), order, source, Slack())
    assert light is not None
    assert light.weight == pytest.approx(sizes.SPARE * 0.5)
    assert verdicts.lighter(pieces(30, 40_000), order, source, light) is None
    assert verdicts.lighter(pieces(30, 60_000), order, source, Slack()) is None


def test_without_a_size_nothing_is_weighed() -> None:
    assert verdicts.lighter(pieces(30, 40_000), Order(mode="auto"), film(40_000), Slack()) is None
    even = sizes.load(film(40_000), 0.1, math.inf, is_rated=True)
    assert even.total == pytest.approx(40_000 * MINUTE)
