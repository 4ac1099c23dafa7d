"""What becomes of a sewn piece that does not come out right: every frame once, all the same."""

from pathlib import Path

from tests.media.cutting import cut
from tests.media.programs import spoiling
from tests.support.clips import Clip
from tests.support.contexts import FakeContext

PARTS = "parts-of-piece-0002"  # the list of what piece 2 is joined of


async def test_a_sewn_piece_that_lacks_frames_is_encoded_as_a_whole_and_the_others_stay(
    context: FakeContext, tmp_path: Path
) -> None:
    context.options = {**context.options, **spoiling(tmp_path / "bin", PARTS, times=1)}

    cutting = await cut(Clip.SILENT, context, segmentTime=5.3, mode="exact")

    (said,) = [line for line in context.logged if "encoded" in line]
    assert said.startswith("piece 2 is encoded as a whole: it lasts 1.")
    assert cutting.result.data["mode"] == "exact"
    assert cutting.account.is_exact
    assert cutting.longest() <= 5.3


async def test_where_even_that_lacks_frames_all_is_encoded_the_plain_way_and_that_is_said(
    context: FakeContext, tmp_path: Path
) -> None:
    context.options = {**context.options, **spoiling(tmp_path / "bin", PARTS, times=2)}

    cutting = await cut(Clip.SILENT, context, segmentTime=5.3, mode="exact")

    assert "encoding another way" in context.logged[1]
    assert cutting.result.data["mode"] == "encode"
    assert cutting.account.is_exact
    assert cutting.longest() <= 5.3
