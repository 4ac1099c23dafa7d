"""The reader of clips notices each thing that can happen to a frame or a sound."""

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import numbering
from tests.support.clip_reader import (
    Account,
    ReadingError,
    account,
    jitter,
    lag,
    original,
    read,
    shift,
)
from tests.support.clips import Clip, clip
from tests.support.hostile_files import Hostile, make

FAST = ("-c:v", "libx264", "-preset", "ultrafast", "-fps_mode", "passthrough")


def changed(target: Path, *options: str, source: Clip = Clip.TEN_FRAMES) -> Path:
    return ffmpeg("-i", str(clip(source)), *options, str(target))


def ffmpeg(*arguments: str) -> Path:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments]
    subprocess.run(command, check=True, timeout=30)
    return Path(arguments[-1])


def judged(path: Path, source: Clip = Clip.TEN_FRAMES) -> Account:
    return account([read(path, sound=False)], range(source.frames))


def test_every_number_is_recognised_and_a_step_changes_one_pair_of_fields() -> None:
    grey = [numbering.drawn(number, (90, 90, 90))[::3] for number in range(numbering.MOST)]
    digits = slice(numbering.FIRST, numbering.FIRST + 2 * numbering.DIGITS)
    changes = {
        sum(one != other for one, other in zip(before[digits], after[digits], strict=True))
        for before, after in pairwise(grey)
    }

    assert [numbering.recognised(fields) for fields in grey] == list(range(numbering.MOST))
    assert changes == {2}
    assert numbering.recognised(bytes(numbering.FIELDS)) is None


def test_an_untouched_clip_is_exact() -> None:
    assert judged(clip(Clip.TEN_FRAMES)).is_exact


def test_a_lost_frame_is_missing(tmp_path: Path) -> None:
    path = changed(tmp_path / "lost.mp4", "-vf", "select='not(eq(n,4))'", *FAST)

    assert judged(path) == Account(missing=(4,))


def test_a_frame_on_both_sides_of_a_seam_is_repeated(tmp_path: Path) -> None:
    first = changed(tmp_path / "1.mp4", "-vf", "trim=end_frame=5", "-an", *FAST)
    second = changed(tmp_path / "2.mp4", "-vf", "trim=start_frame=4", "-an", *FAST)
    pieces = [read(path, sound=False) for path in (first, second)]

    assert account(pieces, range(10)) == Account(repeated=(4,))


def test_swapped_frames_are_out_of_order(tmp_path: Path) -> None:
    path = changed(tmp_path / "swapped.mp4", "-vf", "shuffleframes=0 2 1 3 4", *FAST)

    assert judged(path) == Account(disordered=((2, 1), (7, 6)))


def test_pieces_in_the_wrong_order_are_out_of_order(tmp_path: Path) -> None:
    first = changed(tmp_path / "1.mp4", "-vf", "trim=end_frame=4", "-an", *FAST)
    second = changed(tmp_path / "2.mp4", "-vf", "trim=start_frame=4", "-an", *FAST)
    pieces = [read(path, sound=False) for path in (first, second)]

    assert account(pieces, range(10)).is_exact
    assert account(reversed(pieces), range(10)) == Account(disordered=((9, 0),))


def test_a_picture_that_is_not_turned_back_is_unreadable(tmp_path: Path) -> None:
    path = changed(tmp_path / "turned.mp4", "-vf", "hflip", *FAST)
    found = judged(path)

    assert (found.unreadable, len(found.missing)) == (10, 10)


@pytest.mark.parametrize("late", [0.06, -0.06])
def test_sound_that_was_moved_lags(tmp_path: Path, late: float) -> None:
    source = str(clip(Clip.CLOSED_GOP))
    streams = ("-map", "0:v", "-map", "1:a", "-c", "copy", "-t", "5")
    moved = ffmpeg("-i", source, "-itsoffset", str(late), "-i", source, *streams,
                   str(tmp_path / "moved.mkv"))  # fmt: skip

    assert lag(read(moved), original(Clip.CLOSED_GOP)) == pytest.approx(late, abs=0.003)


def test_a_piece_from_the_middle_is_shifted_and_does_not_lag(tmp_path: Path) -> None:
    cut = ("-ss", "6", "-i", str(clip(Clip.CLOSED_GOP)), "-c", "copy", "-t", "4")
    piece = read(ffmpeg(*cut, str(tmp_path / "piece.mp4")))
    source = original(Clip.CLOSED_GOP)

    assert piece.numbers[0] == 150
    assert shift(piece, source) == pytest.approx(-6.0, abs=0.1)
    assert abs(lag(piece, source)) <= 0.003


def test_frames_that_were_made_even_stray_from_their_times(tmp_path: Path) -> None:
    source = original(Clip.UNSTEADY)
    even = changed(
        tmp_path / "even.mp4", "-vf", "setpts=N/25/TB", "-an", *FAST, source=Clip.UNSTEADY
    )

    assert jitter(source, source) == 0.0
    assert jitter(read(even, sound=False), source) > 2.0


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadingError, match=r"text\.mp4 cannot be opened"):
        read(make(Hostile.TEXT, tmp_path))
    with pytest.raises(ReadingError, match=r"no pip in sound track 0"):
        lag(original(Clip.SILENT), original(Clip.TEN_FRAMES))
