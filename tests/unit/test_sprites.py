"""The sheet of pictures: how large, which frames, and what its WebVTT says."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media.previews import sprites
from workers.media.previews.samples import Size
from workers.media.previews.wishes import Grid


def test_a_sheet_divides_the_film_into_as_many_steps_as_it_has_tiles() -> None:
    sheet = sprites.plan((1920, 1080), 2.0, 600.0, Grid())

    assert (sheet.tile, sheet.step, sheet.tiles) == (Size(160, 90), 6.0, 100)


def test_a_tile_is_as_wide_as_asked_for_but_for_films_that_are_smaller_or_very_tall() -> None:
    wide = Grid(width=480)

    assert sprites.plan((1080, 1920), 0.0, 60.0, wide).tile == Size(480, 854)
    assert sprites.plan((320, 192), 0.0, 60.0, wide).tile == Size(320, 192)
    assert sprites.plan((500, 5000), 0.0, 60.0, wide).tile == Size(96, 960)


@pytest.mark.parametrize(
    ("found", "duration", "enough"),
    [(100, 60, True), (99, 60, False), (50, 600, True), (49, 600, False)],
)
def test_the_longer_the_film_the_fewer_keyframes_will_do(
    found: int, duration: float, *, enough: bool
) -> None:
    sheet = sprites.plan((320, 192), 0.0, duration, Grid())

    assert sprites.suffices(found, sheet, duration) is enough
    assert sprites.by_keyframes(duration)
    assert not sprites.by_keyframes(20.0)


@pytest.mark.parametrize(("tiles", "shape"), [(100, (10, 10)), (61, (10, 7)), (3, (3, 1))])
def test_a_sheet_has_no_more_rows_than_it_needs(tiles: int, shape: tuple[int, int]) -> None:
    assert sprites.shrunk(sprites.plan((320, 192), 0.0, 60.0, Grid()), tiles) == shape


def test_the_times_of_packets_are_counted_by_the_clock_that_is_named() -> None:
    report = ["#software: x", "#tb 0: 1/15360", "0,       -671,       7680,  512, 357541, 0x9fba"]

    assert sprites.times_of_packets(report) == (0.5,)


def test_the_times_of_frames_are_read_also_where_they_are_negative() -> None:
    report = ["frame:0    pts:-4  pts_time:-0.16", "shown=1", "frame:1    pts:25  pts_time:1"]

    assert sprites.times_of_frames(report) == (-0.16, 1.0)


def test_each_tile_stands_from_its_own_frame_until_the_next() -> None:
    text = sprites.vtt((0.04, 2.0, 3661.5), 2, Size(160, 90), 3700.0, "sprite.jpg")

    assert text == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:02.000\nsprite.jpg#xywh=0,0,160,90\n\n"
        "00:00:02.000 --> 01:01:01.500\nsprite.jpg#xywh=160,0,160,90\n\n"
        "01:01:01.500 --> 01:01:40.000\nsprite.jpg#xywh=0,90,160,90\n"
    )


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=100, unique=True))
def test_the_cues_cover_the_film_without_a_gap(times: list[float]) -> None:
    text = sprites.vtt(sorted(times), 10, Size(2, 2), 1e5, "s.jpg")

    edges = [line.split(" --> ") for line in text.splitlines() if "-->" in line]
    assert edges[0][0] == "00:00:00.000"
    assert all(one[1] == other[0] for one, other in pairwise(edges))
