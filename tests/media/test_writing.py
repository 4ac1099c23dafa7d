"""Pieces are written to the disk while the next ones are made; what the disk says is heard."""

import asyncio
import errno
import socket
from pathlib import Path

import pytest

from workers.media.files import writing
from workers.media.tools import ffmpeg

PIECES = ("piece-0001.mp4", "piece-0002.mp4", "piece-0003.mp4")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*PIECES, ffmpeg.SEGMENTS):
        (tmp_path / name).write_text("a part of a film")
    return tmp_path


def test_a_piece_is_written_once_the_next_one_is_begun(folder: Path) -> None:
    assert writing.write(folder, PIECES) == set(PIECES[:2])


def test_pieces_that_are_thrown_away_are_not_written(folder: Path) -> None:
    assert writing.write(folder, PIECES[1:]) == {PIECES[1]}


async def test_what_the_disk_says_is_not_kept_from_who_relies_on_it(folder: Path) -> None:
    (folder / PIECES[0]).unlink()
    with socket.socket(socket.AF_UNIX) as unwritable:  # it cannot be opened as a file
        unwritable.bind(str(folder / PIECES[0]))

        with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is looked at
            async with writing.meanwhile(folder, PIECES):
                pass

    assert caught.value.errno == errno.ENXIO


async def test_a_folder_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    async with writing.meanwhile(tmp_path / "gone", PIECES):
        await asyncio.to_thread(lambda: None)
