"""What a preview job asks for, and what the pool's options add to it."""

import msgspec
import pytest

from workers.media.previews import wishes
from workers.media.previews.wishes import Defaults, Grid, Request, Wish


def test_a_job_that_says_nothing_gets_a_clip_and_a_poster() -> None:
    wish = wishes.resolve(Request("film.mp4"), Defaults())

    assert wish == Wish(7.5, 5, 480, poster=True, sprite=None, animated=None)


def test_the_job_wins_over_the_options_also_when_it_says_no() -> None:
    defaults = Defaults(seconds=5, poster=True, sprite=Grid(columns=4), animated="gif")
    request = Request("film.mp4", seconds=2, poster=False, sprite=True, animated=False)

    wish = wishes.resolve(request, defaults)

    assert wish == Wish(2, 5, 480, poster=False, sprite=Grid(), animated=None)


def test_true_means_the_usual_sheet_and_a_webp() -> None:
    wish = wishes.resolve(Request("film.mp4", sprite=True, animated=True), Defaults())

    assert (wish.sprite, wish.animated) == (Grid(10, 10, 160), "webp")


def test_a_sheet_of_more_than_a_hundred_tiles_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="11 x 10 tiles are more than 100"):
        msgspec.convert({"filePath": "a", "sprite": {"columns": 11}}, Request)
