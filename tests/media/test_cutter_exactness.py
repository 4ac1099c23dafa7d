"""Every kind of clip that others cut wrongly: no frame lost or repeated, no piece too long."""

from collections.abc import Mapping

import pytest

from tests.media import measure
from tests.media.cutting import cut
from tests.support import clip_reader
from tests.support.clips import Clip
from tests.support.contexts import FakeContext

LIMIT = 7.0
COPIED, ENCODED = "copy", "encode"


@pytest.mark.parametrize(
    ("asked", "mode"),
    [
        (Clip.CLOSED_GOP, COPIED),
        (Clip.LONG_GOP, ENCODED),
        (Clip.ONE_GOP, ENCODED),
        (Clip.OPEN_GOP, ENCODED),
        (Clip.OPEN_GOP_HEVC, ENCODED),
        (Clip.WEBM, COPIED),
        (Clip.TWO_TRACKS, COPIED),
        (Clip.TRANSPORT, COPIED),
        (Clip.UNSTEADY, COPIED),
        (Clip.NTSC, COPIED),
        (Clip.TURNED, COPIED),
        (Clip.LATE_PICTURE, COPIED),
        (Clip.LONG_SOUND, COPIED),
    ],
)
async def test_pieces_have_every_frame_once_keep_the_limit_and_stay_in_step(
    context: FakeContext, asked: Clip, mode: str
) -> None:
    cutting = await cut(asked, context, segmentTime=LIMIT)

    assert cutting.result.data["mode"] == mode
    assert cutting.account.is_exact
    assert len(cutting.pieces) > 1
    assert cutting.longest() <= LIMIT
    assert all(
        file.duration is not None and file.duration <= LIMIT for file in cutting.result.files
    )
    assert cutting.worst_lag() <= 0.045


@pytest.mark.parametrize(
    "asked",
    [Clip.CLOSED_GOP, Clip.WEBM, Clip.TWO_TRACKS, Clip.TRANSPORT, Clip.UNSTEADY, Clip.NTSC,
     Clip.TURNED, Clip.LATE_PICTURE],
)  # fmt: skip
async def test_pieces_that_must_be_encoded_are_no_worse(context: FakeContext, asked: Clip) -> None:
    cutting = await cut(asked, context, segmentTime=LIMIT, height=160)

    assert cutting.result.data["mode"] == ENCODED
    assert cutting.account.is_exact
    assert cutting.longest() <= LIMIT
    assert cutting.worst_lag() <= 0.045
    steps = [clip_reader.jitter(piece, cutting.source) for piece in cutting.pieces]
    assert max(steps) <= 0.002  # no frame is shown sooner or later than in the source


async def test_an_odd_size_is_padded_to_be_encoded(context: FakeContext) -> None:
    cutting = await cut(Clip.ODD_SIZE, context, segmentTime=LIMIT, mode="exact")

    assert cutting.account.is_exact
    assert cutting.longest() <= LIMIT


async def test_a_film_without_sound_is_cut_to_the_limit(context: FakeContext) -> None:
    cutting = await cut(Clip.SILENT, context, segmentTime=LIMIT)

    assert cutting.account.is_exact
    assert cutting.longest() <= LIMIT


@pytest.mark.parametrize("asked", [Clip.TEN_FRAMES, Clip.ONE_FRAME])
async def test_a_film_of_a_few_frames_is_one_piece(context: FakeContext, asked: Clip) -> None:
    cutting = await cut(asked, context)

    assert len(cutting.pieces) == 1
    assert cutting.account.is_exact


async def test_the_first_piece_is_not_delayed_by_its_own_b_frames(context: FakeContext) -> None:
    cutting = await cut(Clip.CLOSED_GOP, context, segmentTime=6.1)

    assert cutting.spans[0] == (0, 6)
    assert cutting.pieces[0].duration == pytest.approx(6.0, abs=0.001)
    assert cutting.pieces[0].frames[0].time == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize(
    ("asked", "mode"),
    [({}, COPIED), ({"height": 160}, ENCODED), ({"mode": "exact"}, "exact")],
    ids=[COPIED, ENCODED, "exact"],
)
async def test_title_and_all_tracks_are_kept_in_step_and_subtitles_do_not_stretch_a_piece(
    context: FakeContext, asked: Mapping[str, object], mode: str
) -> None:
    cutting = await cut(Clip.TWO_TRACKS, context, segmentTime=LIMIT, **asked)

    assert cutting.result.data["mode"] == mode
    assert {len(piece.pips) for piece in cutting.pieces} == {2}
    assert cutting.longest() <= LIMIT
    assert max(cutting.worst_lag(), cutting.worst_lag(track=1)) <= 0.045
    for piece in cutting.pieces:
        said = measure.described(piece.path)
        told = [(one["tags"]["language"], one["disposition"]["default"]) for one in said["streams"]]
        assert told == [("ger", 1), ("por", 0), ("eng", 1)]
        assert said["format"]["tags"]["title"] == "a film"


async def test_sound_that_goes_on_after_the_picture_becomes_pieces_of_sound(
    context: FakeContext,
) -> None:
    cutting = await cut(Clip.LONG_SOUND, context, segmentTime=3)

    assert [file.kind for file in cutting.result.files] == ["video"] * 4 + ["audio"] * 2
    assert cutting.account.is_exact
    assert cutting.longest() <= 3
    assert all(piece.pips[0] for piece in cutting.pieces[4:5])
    assert sum(piece.duration for piece in cutting.pieces[3:]) == pytest.approx(6, abs=0.05)


async def test_a_picture_that_stands_still_longer_than_the_limit_is_shown_again(
    context: FakeContext,
) -> None:
    cutting = await cut(Clip.UNSTEADY, context, segmentTime=2)

    assert cutting.longest() <= 2
    assert not cutting.account.missing
    assert not cutting.account.disordered


async def test_open_gops_are_copied_only_on_demand_and_the_loss_is_said(
    context: FakeContext,
) -> None:
    cutting = await cut(Clip.OPEN_GOP, context, segmentTime=LIMIT, mode="copy")

    assert 0 < len(cutting.account.missing) <= 6
    assert "open GOPs" in cutting.result.warnings[0]
