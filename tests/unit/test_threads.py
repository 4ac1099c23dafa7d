"""How many threads ffmpeg may have: said to every input and the output, unless said already."""

import pytest

from workers.media.tools import threads


@pytest.mark.parametrize(("cpu", "most"), [(0.0, 0), (0.25, 2), (1.0, 2), (1.5, 3), (4.0, 5)])
def test_one_more_than_the_processors_of_the_pool(cpu: float, most: int) -> None:
    assert threads.allowed(cpu) == most


def test_every_input_and_the_output_are_told() -> None:
    command = ("ffmpeg", "-y", "-ss", "1", "-i", "file:/a", "-i", "file:/b", "-an", "out.mp4")

    told = threads.bounded(command, 2)

    said = "ffmpeg -y -ss 1 -threads 2 -i file:/a -threads 2 -i file:/b -an -threads 2 out.mp4"
    assert " ".join(told) == said


def test_what_is_said_already_stays() -> None:
    command = ("ffmpeg", "-threads", "1", "-i", "file:/a", "-threads", "3", "out.mp4")

    assert threads.bounded(command, 2) == command


def test_without_a_bound_nothing_is_said() -> None:
    command = ("ffmpeg", "-i", "file:/a", "out.mp4")

    assert threads.bounded(command, 0) == command
