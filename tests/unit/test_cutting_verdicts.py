"""Whether pieces keep what was promised, and what is learned where they do not."""

from dataclasses import replace

import pytest

from consumers.errors import RefusedError
from workers.media.cutting import detection, verdicts
from workers.media.cutting.cuts import Copy, Encode, Piece
from workers.media.cutting.order import Order
from workers.media.cutting.plans import UNTAUGHT, Slack, Wanted
from workers.media.files.film import Film, Keyframes
from workers.media.files.spans import Span

FILM = Film(10.0, Keyframes((0.0,), (0.0,)), [turn / 10 for turn in range(100)])
COPY, ENCODE = Copy((FILM.whole,)), Encode((FILM.whole,), "because")


def piece(length: float = 5.0, frames: int | None = 50, size: int = 10) -> Piece:
    return Piece("a.mp4", 0.0, 5.0, length, frames, size=size)


def test_pieces_within_their_limits_are_right() -> None:
    order = Order(mode="auto", limit=5.0, size=10)

    assert verdicts.judge(COPY, [piece()], order, FILM) is None


def test_a_millisecond_over_the_limit_is_too_long() -> None:
    broken = verdicts.judge(COPY, [piece(5.001)], Order(mode="auto", limit=5.0), FILM)

    assert broken is not None
    assert broken.says == "a piece of 5.001 s is over the 5 s asked for"
    assert verdicts.taught(UNTAUGHT, broken).seconds == pytest.approx(0.051)


def test_a_byte_over_the_size_is_too_large() -> None:
    broken = verdicts.judge(COPY, [piece(size=1001)], Order(mode="auto", size=1000), FILM)

    assert broken is not None
    assert verdicts.taught(Slack(share=0.9), broken).share < 0.9


@pytest.mark.parametrize("frames", [49, 51])
def test_a_copy_with_another_number_of_frames_is_not_made_by_copying(frames: int) -> None:
    broken = verdicts.judge(COPY, [piece(frames=frames)], Order(mode="auto"), FILM)

    assert broken is not None
    assert verdicts.reason_to_encode(COPY, broken) == "copying would lose or repeat 1 frames"


def test_encoded_pieces_are_counted_too_but_a_frame_may_be_in_the_next_piece() -> None:
    halves = (Piece("a", 0.0, 5.0, 5.0, 51), Piece("b", 5.0, 10.0, 5.0, 49))

    assert verdicts.owned(ENCODE, halves, FILM) == ()
    says = ("the pieces show 3 frames less than the source",)
    assert verdicts.owned(ENCODE, [piece(frames=47)], FILM) == says
    assert verdicts.owned(COPY, [piece(frames=47)], FILM) == ()


def test_what_could_not_be_sewn_is_said_to_be_encoded() -> None:
    order = Order(mode="exact")

    assert verdicts.told(ENCODE, order) == {"mode": "exact"}
    plain = replace(ENCODE, is_sewable=False)
    assert verdicts.told(plain, order) == {"mode": "encode", "why": "because"}


def test_what_was_encoded_once_is_encoded_again_and_a_copy_may_be_copied_again() -> None:
    broken = verdicts.Broken("too long", seconds=1)

    assert verdicts.reason_to_encode(ENCODE, broken) == "because"
    assert verdicts.reason_to_encode(COPY, broken) == ""


def test_a_container_that_does_not_count_its_frames_is_believed() -> None:
    assert verdicts.judge(COPY, [piece(frames=None)], Order(mode="auto"), FILM) is None


def test_a_range_is_held_to_the_file_and_refused_after_its_end() -> None:
    assert verdicts.within([Span(5, 30)], 10.0) == (Span(5, 10),)
    with pytest.raises(RefusedError):
        verdicts.within([Span(10, 11)], 10.0)


def test_what_was_looked_for_in_vain_is_said() -> None:
    order = Order(mode="auto", scenes=10.0)

    assert verdicts.remarks(order, Wanted(), FILM) == ("scenes: no change of scene was found",)


def test_scenes_too_near_to_each_other_or_to_the_ends_are_no_pieces() -> None:
    said = [("scd.time", at) for at in (0.2, 3.0, 3.1, 6.0, 9.9)]

    assert detection.as_points(said, 10.0) == (Span(2.5, 3.5), Span(5.5, 6.5))


def test_silence_before_the_first_and_after_the_last_sound_is_no_place_to_cut() -> None:
    said = [("silence_start", 0.0), ("silence_end", 1.0), ("silence_start", 4.0),
            ("silence_end", 5.0), ("silence_duration", 1.0), ("silence_start", 9.0)]  # fmt: skip

    assert detection.as_silences(said, 10.0) == (Span(4.0, 5.0),)
