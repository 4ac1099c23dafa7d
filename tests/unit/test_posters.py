"""Where a poster is looked for, and whether it shows anything."""

import pytest

from workers.media.previews import posters
from workers.media.previews.posters import Luma


def test_keyframes_are_looked_at_first_and_in_the_end_every_picture_there_is() -> None:
    looks = posters.looks(2.0, 100.0)

    assert [look.at for look in looks[:4]] == [12.0, 27.0, 52.0, 77.0]
    assert [look.keyframes for look in looks[:4]] == [True] * 4
    assert [(look.at, look.keyframes, look.frames) for look in looks[-2:]] == [
        (0.0, True, 0),
        (0.0, False, 0),
    ]
    assert len({look.name for look in looks}) == len(looks)


def test_the_brightness_is_read_from_what_the_filter_printed() -> None:
    report = ["frame:0", "lavfi.signalstats.YAVG=116.5", "lavfi.signalstats.YLOW=40"]
    report += ["lavfi.signalstats.YHIGH=200", "lavfi.signalstats.YDIF=0"]

    assert posters.luma(report) == Luma(116.5, 160.0)
    assert posters.luma([]) is None


@pytest.mark.parametrize(
    ("mean", "spread", "worth"),
    [(116, 100, True), (16, 0, False), (120, 3, False), (20, 90, False)],
)
def test_black_and_blank_pictures_show_nothing(mean: float, spread: float, *, worth: bool) -> None:
    assert Luma(mean, spread).shows_something is worth


def test_a_picture_that_shows_something_is_worth_more_than_a_blank_and_a_blank_than_a_black() -> (
    None
):
    shown, blank, black = Luma(60, 40), Luma(250, 0), Luma(20, 200)

    assert max((black, blank, shown), key=lambda one: one.worth) == shown
    assert max((black, blank), key=lambda one: one.worth) == blank
