"""When a transfer may go on, when it is too slow, and how long a playlist says it is."""

from collections.abc import Mapping

import pytest

from workers.media.amounts import amount
from workers.media.fetching import origin, playlists
from workers.media.fetching.child.bounds import Budget, TooLargeError
from workers.media.fetching.child.throughput import Flow
from workers.media.fetching.origin import Origin

TAG = Origin(etag='"a"', size=100)


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (TAG, Origin(etag='"a"', size=100), True),
        (TAG, Origin(etag='"a"'), True),
        (TAG, Origin(etag='"b"', size=100), False),
        (TAG, Origin(etag='"a"', size=99), False),
        (TAG, Origin(size=100), False),
        (Origin(size=100), Origin(size=100), False),
        (Origin(modified="Mon", size=9), Origin(modified="Mon", size=9), True),
        (Origin(modified="Mon"), Origin(modified="Tue"), False),
        (Origin(etag='W/"a"'), Origin(etag='W/"a"'), False),
        (Origin(etag='W/"a"', modified="Mon"), Origin(etag='W/"b"', modified="Mon"), False),
    ],
)
def test_two_answers_are_of_one_file_when_something_says_so_and_nothing_speaks_against_it(
    before: Origin, now: Origin, *, same: bool
) -> None:
    assert origin.is_same(before, now) is same


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({"Content-Length": "7"}, 7),
        ({"Content-Length": "3", "Content-Range": "bytes 4-6/7"}, 7),
        ({"Content-Range": "bytes */7"}, 7),
        ({"Content-Length": "many"}, None),
        ({}, None),
    ],
)
def test_the_size_is_that_of_the_whole_file(headers: Mapping[str, str], size: int | None) -> None:
    assert origin.of(headers).size == size


def test_a_request_that_brings_enough_is_never_too_slow_and_one_that_stalls_is() -> None:
    flow = Flow(since=0.0)
    verdicts = []
    for second in range(1, 31):
        flow.arrived += 1000 if second <= 10 else 10
        verdicts.append(flow.is_too_slow(second, 100.0, 10.0))

    assert verdicts.index(True) >= 18  # seconds 10 to 19 brought less than 1,000 bytes
    assert not any(verdicts[:18])


def test_time_that_nobody_waited_does_not_count() -> None:
    flow = Flow(waited=2.0, since=1000.0)

    assert not flow.is_too_slow(1005.0, 100.0, 10.0)
    assert flow.is_too_slow(1010.0, 100.0, 10.0)


@pytest.mark.parametrize(
    ("text", "seconds", "leeway"),
    [
        (b"#EXTM3U\n#EXTINF:4.5,\na.ts\n#EXTINF:3.5,name\nb.ts\n", 8.0, 0.5),
        (b"\xef\xbb\xbf#EXTM3U\n#EXTINF:4,\na\n#EXTINF:4,\nb\n#EXTINF:4,\nc\n", 12.0, 1.5),
        (b"#EXTM3U\n" + b"#EXTINF:6.0,\na\n" * 100, 600.0, 6.0),
        (b'<?xml?><MPD type="static" mediaPresentationDuration="PT1H2M3.5S">', 3723.5, 37.235),
        (b'<MPD mediaPresentationDuration="P1DT1S">', 86401.0, 864.01),
    ],
)
def test_a_playlist_says_how_long_it_is(text: bytes, seconds: float, leeway: float) -> None:
    length = playlists.length(text)

    assert length is not None
    assert [length.seconds, length.leeway] == pytest.approx([seconds, leeway])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n",
        b"#EXTM3U\n#ANVATO-SEGMENT-INFO:type=ad\n#EXTINF:4.0,\na\n",
        b'<MPD type="dynamic">',
        b'<MPD mediaPresentationDuration="PXY">',
        b"<html>#EXTINF:4,</html>",
    ],
)
def test_what_says_no_length_is_not_compared(text: bytes) -> None:
    assert playlists.length(text) is None


def test_the_files_of_a_link_share_one_budget_and_a_refused_one_leaves_it() -> None:
    budget = Budget(100)
    budget({"filename": "a", "downloaded_bytes": 60})
    with pytest.raises(TooLargeError, match="larger than 100 bytes"):
        budget({"filename": "b", "downloaded_bytes": 1, "total_bytes": 41})

    budget({"filename": "c", "downloaded_bytes": 40})


def test_amounts_are_told_in_the_unit_people_choose() -> None:
    assert [amount(size) for size in (5, 1500, 2.5e6, 1e10)] == [
        "5 bytes",
        "1.5 kB",
        "2.5 MB",
        "10 GB",
    ]
