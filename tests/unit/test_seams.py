"""Exact cuts: what of each piece is encoded, and what is copied."""

from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media.cutting.exact import seams, sewing
from workers.media.cutting.exact.reel import Reel, Structure
from workers.media.cutting.exact.seams import Part, Plan, Sewing
from workers.media.files.spans import Span

TICK = Fraction(1, 100)  # seconds, and one frame


def reel(*gops: str, origin: float = 0.0, steps: int = 1) -> Reel:
    """Return the packets of GOPs: a letter for each packet, ``a`` the first frame shown."""
    made = Reel(TICK, origin=origin)
    begins, packet = round(origin * 100), round(origin * 100)
    for gop in gops:
        for turn, letter in enumerate(gop):
            shown = begins + (ord(letter) - ord("a")) * steps
            made.add(f"{shown},{packet - 2},{steps},{'__' if turn else 'K_'}")
            packet += steps
        begins += len(gop) * steps
    return made


def planned(film: Reel, *spans: tuple[int, int]) -> Plan:
    """Plan pieces for spans given in hundredths, which are frames."""
    asked = [Span(start / 100, end / 100) for start, end in spans]
    return seams.plan(film, Structure(film), asked)


def told(piece: Sewing) -> list[tuple[int, int, int, str]]:
    """Return segment, first frame, number of frames, and what is done with them."""
    return [
        (part.segment, part.first, part.count, "encode" if part.encoded else "copy")
        for part in piece.parts
    ]


def test_between_a_cut_and_the_next_clean_keyframe_is_encoded_and_the_rest_copied() -> None:
    plan = planned(reel("abcd", "abcd", "abcd"), (2, 12))

    assert plan.marks == pytest.approx((0.02,))  # before the keyframe at 0.04
    assert told(plan.pieces[0]) == [(0, 2, 2, "encode"), (1, 0, 8, "copy")]


def test_without_reordered_frames_a_piece_is_copied_up_to_its_last_frame() -> None:
    plan = planned(reel("abcd", "abcd"), (0, 6))

    assert told(plan.pieces[0]) == [(0, 0, 4, "copy"), (1, 0, 2, "copy")]


def test_a_piece_that_ends_among_reordered_frames_is_copied_to_the_last_seam_before() -> None:
    plan = planned(reel("adbcgef", "adbcgef"), (0, 6))

    assert told(plan.pieces[0]) == [(0, 0, 4, "copy"), (0, 4, 2, "encode")]


def test_cuts_at_clean_keyframes_need_no_encoding() -> None:
    plan = planned(reel("adbc", "adbc", "adbc"), (0, 4), (4, 12))

    assert [told(piece) for piece in plan.pieces] == [
        [(0, 0, 4, "copy")],
        [(1, 0, 8, "copy")],
    ]


def test_a_keyframe_followed_by_frames_shown_before_it_is_no_place_to_begin() -> None:
    plan = planned(reel("abcd", "cabd", "abcd"), (1, 12))  # the second begins with its third frame

    assert told(plan.pieces[0]) == [(0, 1, 7, "encode"), (1, 0, 4, "copy")]


def test_a_keyframe_that_comes_after_frames_shown_later_is_no_place_to_begin() -> None:
    film = Reel(TICK)
    for line in ("0,0,1,K_", "3,1,1,__", "1,2,1,__", "2,3,1,K_", "4,4,1,__"):
        film.add(line)

    assert Structure(film).clean == [0]


def test_what_is_encoded_is_decoded_as_early_as_what_is_copied_after_it() -> None:
    head, body = planned(reel("adbc", "adbc"), (2, 8)).pieces[0].parts

    assert (head.lead, body.lead) == (2, 0)


def test_the_last_frame_ends_with_its_span_at_the_latest() -> None:
    film = reel("abcd", "abcd", steps=10)
    plan = planned(film, (0, 45))

    assert plan.pieces[0].times == (0, 10, 20, 30, 40)
    assert plan.pieces[0].ends == 45


def test_a_picture_that_begins_late_keeps_its_distance_to_the_sound() -> None:
    film = Reel(TICK)
    film.add("200,200,1,K_")
    piece = planned(film, (0, 300)).pieces[0]

    assert (piece.zero, piece.times) == (0.0, (200,))


def test_a_piece_begins_with_its_first_frame_when_that_is_near() -> None:
    piece = planned(reel("abcd", steps=4), (2, 16)).pieces[0]

    assert (piece.zero, piece.times[0]) == (0.04, 0)


def test_a_piece_plays_as_long_as_its_picture_and_the_last_as_long_as_the_sound() -> None:
    first, last = planned(reel("abcd", "abcd"), (0, 6), (6, 20)).pieces

    assert sewing.playing(first, 100, heard=0.15) == pytest.approx(0.06)
    assert sewing.playing(last, 100, heard=0.15) == pytest.approx(0.09)
    assert sewing.playing(last, 100, heard=9.0) == pytest.approx(0.14)  # the length of its span
    assert sewing.playing(last, 100, heard=0.0) == pytest.approx(0.02)


def test_a_piece_without_a_picture_plays_as_long_as_there_is_sound() -> None:
    (piece,) = planned(reel("abcd"), (10, 20)).pieces

    assert sewing.playing(piece, 100, heard=0.17) == pytest.approx(0.07)


def test_seconds_count_from_the_files_beginning() -> None:
    plan = planned(reel("abcd", "abcd", origin=1.4), (4, 8))

    assert told(plan.pieces[0]) == [(1, 0, 4, "copy")]
    assert plan.pieces[0].zero == pytest.approx(0.04)


def test_packets_before_the_first_keyframe_do_not_count() -> None:
    film = Reel(TICK)
    for line in ("0,0,1,__", "1,1,1,K_", "2,2,1,__", ""):
        film.add(line)

    assert list(Structure(film).shown) == [1, 2]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("0,0,1,K_", "N/A,1,1,__"), "not every packet says when it is shown"),
        (("0,0,1,K_", "0,1,1,__"), "two frames are shown at the same time"),
        (("5,0,1,K_", "3,1,1,__"), "its first frames cannot be decoded"),
    ],
)
def test_a_film_that_cannot_be_divided_says_why(lines: tuple[str, ...], why: str) -> None:
    film = Reel(TICK)
    for line in lines:
        film.add(line)

    assert Structure(film).obstacle == why


def test_a_film_of_one_gop_is_better_encoded_at_once() -> None:
    long = reel("abcdefghijklmnopqrstuvwxyz")
    structure = Structure(long)
    plan = planned(long, (0, 7), (7, 14), (14, 20), (20, 26))

    assert seams.hindrance(structure, plan)
    assert not seams.hindrance(structure, planned(long, (0, 26)))


def test_the_whole_film_is_divided_half_way_between_the_frames_at_the_edges() -> None:
    film = reel("adbc", "adbc")
    plan = seams.whole(film, Structure(film), [Span(0, 0.03), Span(0.03, 0.08)])

    assert plan.marks == pytest.approx((0.025,))
    assert [piece.parts[0].segment for piece in plan.pieces] == [0, 1]
    assert plan.pieces[1].times == (0, 1, 2, 3, 4)


GOPS = st.lists(
    st.sampled_from(["abcd", "adbc", "acbed", "a", "cabd", "aebcdifghkj"]), min_size=1, max_size=8
).map(lambda gops: reel("ab", *gops))


@given(film=GOPS, data=st.data())
def test_the_parts_hold_every_frame_of_their_span_once_and_in_order(
    film: Reel, data: st.DataObject
) -> None:
    last = len(film.pts)
    cuts = sorted(data.draw(st.sets(st.integers(1, last), max_size=4)) | {0, last})
    structure = Structure(film)
    plan = planned(film, *pairwise(cuts))
    begins = _begins(film, plan)

    for piece, (start, end) in zip(plan.pieces, pairwise(cuts), strict=True):
        frames = [
            begins[part.segment] + part.first + turn
            for part in piece.parts
            for turn in range(part.count)
        ]
        assert frames == list(range(start, end))
        assert sum(part.length for part in piece.parts) == piece.ends
        for part in piece.parts:
            assert part.encoded or structure.at_seam(begins[part.segment] + part.stop)


@given(film=GOPS, data=st.data())
def test_all_parts_are_decoded_in_the_order_in_which_they_follow(
    film: Reel, data: st.DataObject
) -> None:
    last = len(film.pts)
    cuts = sorted(data.draw(st.sets(st.integers(1, last), max_size=4)) | {0, last})
    plan = planned(film, *pairwise(cuts))
    begins = _begins(film, plan)

    for piece in plan.pieces:
        counts = [0, *accumulate(part.count for part in piece.parts)]
        decoded = [
            at
            for part, done in zip(piece.parts, counts, strict=False)
            for at in _decoded(film, begins[part.segment], part, piece, done)
        ]
        assert all(one < other for one, other in pairwise(decoded))


def _begins(film: Reel, plan: Plan) -> list[int]:
    """Return the frames at which segments begin: the clean keyframe after each mark."""
    clean = Structure(film).clean
    return [
        0,
        *(next(key for key in clean if film.seconds(film.pts[key]) > mark) for mark in plan.marks),
    ]


def _decoded(film: Reel, begins: int, part: Part, piece: Sewing, done: int) -> list[int]:
    """Return when the packets of a part are decoded, after the piece's beginning."""
    if part.encoded:
        return [at - part.lead for at in piece.times[done : done + part.count]]
    zero = film.ticks(piece.zero)
    return [film.decoded(begins + turn) - zero for turn in range(part.count)]
