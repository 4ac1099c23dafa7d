"""What a cutting job may say, and what is said of it when it says it wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.errors import MalformedError
from workers import registry
from workers.media.cutting import containers, order, ranges
from workers.media.cutting.order import Order, Request, Silence
from workers.media.files.probe import Media, Video
from workers.media.files.spans import Span
from workers.media.presets import DEFAULTS, Preset

NAN = float("nan")


def asked(**data: object) -> Order:
    request = registry.read(Request, {"filePath": "a.mp4", **data})
    return order.resolve(
        request, {**DEFAULTS, "flat": Preset(height=240), "raw": Preset(mode="copy")}
    )


def test_an_exact_cut_takes_the_room_of_the_film_twice_and_a_part_of_it_as_little_as_it_is() -> (
    None
):
    assert order.room(asked()) == 1.0
    assert order.room(asked(mode="exact")) == 2.0
    assert order.room(asked(mode="exact", ranges=[[0, 5]])) == 1.0
    assert order.room(asked(mode="exact", height=240)) == 0.0
    assert order.room(asked(ranges=[[0, 5]])) == 0.0


def test_encoded_pieces_are_expected_to_be_as_dense_as_their_source() -> None:
    picture = Video(0, "h264", 640, 480, 0.0, 10.0)
    film = Media(Path("a.mp4"), 1000, 10.0, 0.0, picture)

    assert containers.heft(film, None, [Span(0, 10)]) == 1.0
    assert containers.heft(film, None, [Span(0, 3), Span(2, 4)]) == 0.5
    assert containers.heft(film, 240, [Span(0, 10)]) == 0.25


@pytest.mark.parametrize(
    ("data", "field", "why"),
    [
        ({"filePath": None}, "filePath", "must be text"),
        ({"filePath": ""}, "filePath", "length >= 1"),
        ({"filePath": "a\0b"}, "filePath", "NUL"),
        ({"segmentTime": 0}, "segmentTime", "> 0"),
        ({"segmentTime": -1}, "segmentTime", "> 0"),
        ({"segmentTime": 86401}, "segmentTime", "<= 86400"),
        ({"segmentTime": NAN}, "segmentTime", "number"),
        ({"segmentTime": "long"}, "segmentTime", "is text"),
        ({"segmentTime": True}, "segmentTime", "must be a number"),
        ({"mode": "fast"}, "mode", 'must be one of auto, copy, exact, is "fast"'),
        ({"maxSize": 0}, "maxSize", "at least 50 kB"),
        ({"maxSize": -5}, "maxSize", "at least 50 kB"),
        ({"maxSize": "16 apples"}, "maxSize", "such as 16MB"),
        ({"maxSize": "1kB"}, "maxSize", "at least 50 kB"),
        ({"maxSize": [1]}, "maxSize", "is a list"),
        ({"height": 2}, "height", ">= 16"),
        ({"height": 9000}, "height", "<= 8192"),
        ({"ranges": []}, "ranges", "length >= 1"),
        ({"ranges": "1-2"}, "ranges", "must be a list"),
        ({"ranges": [[1]]}, "ranges[0]", "length 2"),
        ({"ranges": [[1, 2, 3]]}, "ranges[0]", "length 2"),
        ({"ranges": [{"start": 1}]}, "ranges[0]", "its field end is missing; for example"),
        ({"ranges": [[0, 1], [5, 5]]}, "ranges[1]", "not after its start"),
        ({"ranges": [[9, 3]]}, "ranges[0]", "not after its start"),
        ({"ranges": [[-1, 3]]}, "ranges[0].start", "0 to"),
        ({"ranges": [[0, NAN]]}, "ranges[0].end", "0 to"),
        ({"ranges": [[0, 1e9]]}, "ranges[0].end", "0 to"),
        ({"ranges": [["soon", 3]]}, "ranges[0].start", "hh:mm:ss.mmm"),
        ({"ranges": [[0, "1:75"]]}, "ranges[0].end", "over 59"),
        ({"ranges": [[0, "1:60:00"]]}, "ranges[0].end", "over 59"),
        ({"ranges": [[0, ""]]}, "ranges[0].end", "hh:mm:ss.mmm"),
        ({"ranges": [[0, 1]] * 1001}, "ranges", "length <= 1000"),
        ({"chapters": "yes"}, "chapters", "true or false"),
        ({"scenes": 0}, "scenes", "> 0"),
        ({"scenes": 100}, "scenes", "< 100"),
        ({"scenes": NAN}, "scenes", "number"),
        ({"silence": {"noise": 3}}, "silence.noise", "<= -1"),
        ({"silence": {"length": 0}}, "silence.length", "> 0"),
        ({"silence": -30}, "silence", "an object"),
        ({"equal": 0}, "equal", ">= 1"),
        ({"equal": 1001}, "equal", "<= 1000"),
        ({"equal": 2.5}, "equal", "whole number"),
        ({"preset": ""}, "preset", "length >= 1"),
        ({"preset": "myspace"}, "preset", "there are: flat, raw, reels, story, whatsapp, x"),
    ],
)
def test_a_field_that_says_it_wrong_is_named(data: dict[str, object], field: str, why: str) -> None:
    with pytest.raises(MalformedError) as caught:
        asked(**data)

    assert caught.value.field == field
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({"ranges": [[0, 1]], "chapters": True}, "ranges, chapters"),
        ({"ranges": [[0, 1]], "equal": 3}, "ranges, equal"),
        ({"chapters": True, "scenes": True}, "chapters, scenes"),
        ({"scenes": 12.5, "silence": True}, "scenes, silence"),
        ({"silence": {}, "equal": True}, "silence, equal"),
        ({"equal": 3, "segmentTime": 10}, "equal, segmentTime"),
        ({"equal": 3, "maxSize": "16MB"}, "equal, maxSize"),
        ({"equal": 3, "preset": "whatsapp"}, "equal, preset"),
        ({"mode": "copy", "height": 240}, "mode, height"),
        ({"mode": "copy", "preset": "flat"}, "mode, preset"),
        ({"height": 240, "preset": "raw"}, "height, preset"),
    ],
)
def test_two_fields_that_contradict_each_other_are_both_named(
    data: dict[str, object], fields: str
) -> None:
    with pytest.raises(MalformedError) as caught:
        asked(**data)

    assert caught.value.field == fields
    assert "contradict each other" in caught.value.message


def test_a_job_that_says_nothing_gets_pieces_of_thirty_seconds() -> None:
    assert asked() == Order(mode="auto", limit=30.0)


@pytest.mark.parametrize(
    "data", [{"ranges": [[0, 90]]}, {"chapters": True}, {"scenes": True}, {"silence": True},
             {"maxSize": "16MB"}, {"equal": 3}]
)  # fmt: skip
def test_a_job_that_says_where_to_cut_has_no_limit_it_did_not_name(data: dict[str, object]) -> None:
    assert asked(**data).limit is None


def test_equal_pieces_are_no_longer_than_thirty_seconds_unless_said() -> None:
    assert asked(equal=True).limit == 30.0
    assert asked(equal=True, segmentTime=12).limit == 12


def test_ranges_are_read_from_numbers_clocks_pairs_and_objects() -> None:
    said = [[1, 2.5], ["0:03", "1:02:03.5"], {"start": "7", "end": 8}]

    assert asked(ranges=said).spans == (Span(1, 2.5), Span(3, 3723.5), Span(7, 8))


def test_a_preset_fills_in_what_the_job_leaves_unsaid() -> None:
    assert asked(preset="whatsapp") == Order(mode="auto", limit=60, size=16_000_000)
    assert asked(preset="whatsapp", segmentTime=5, maxSize=10**6).limit == 5
    assert asked(preset="whatsapp", segmentTime=5, maxSize=10**6).size == 10**6
    assert asked(preset="raw").mode == "copy"
    assert asked(preset="raw", mode="exact").mode == "exact"


def test_what_counts_as_a_scene_or_a_silence_can_be_said() -> None:
    assert (asked(scenes=True).scenes, asked(scenes=25).scenes) == (10.0, 25)
    assert asked(silence=True).silence == Silence(-35.0, 0.6)
    assert asked(silence={"noise": -50}).silence == Silence(-50, 0.6)


def test_saying_false_is_saying_nothing() -> None:
    assert asked(chapters=False, scenes=False, silence=False, equal=False) == asked()


@pytest.mark.parametrize(
    ("said", "count"),
    [(60_000, 60_000), ("16MB", 16_000_000), ("1.5 MB", 1_500_000), ("1MiB", 2**20),
     ("64kB", 64_000), ("50000", 50_000)],
)  # fmt: skip
def test_a_size_is_bytes_or_a_number_with_a_unit(said: int | str, count: int) -> None:
    assert ranges.size(said, "maxSize") == count


@given(st.integers(0, 99), st.integers(0, 59), st.floats(0, 59.99))
def test_a_clock_is_read_as_it_is_written(hours: int, minutes: int, seconds: float) -> None:
    written = f"{hours:02}:{minutes:02}:{seconds:06.3f}"

    expected = hours * 3600 + minutes * 60 + seconds
    assert ranges.moment(written, "here") == pytest.approx(expected, abs=0.001)


@given(st.text(alphabet="-+e,hms ", min_size=1, max_size=12))
def test_what_is_no_moment_is_refused_with_its_field(said: str) -> None:
    with pytest.raises(MalformedError) as caught:
        ranges.moment(said, "here")

    assert caught.value.field == "here"
