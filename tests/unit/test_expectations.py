"""What is wrong with a job's fields, said so that its publisher can put it right."""

from pathlib import Path

import msgspec
import pytest

from consumers.errors import MalformedError
from consumers.jobs import Job
from consumers.outcome import Completed
from tests.support.clocks import FakeClock
from workers import cutter, download, preview, registry
from workers.context import Surroundings
from workers.expectations import misspelled
from workers.processor import JobContext, Result
from workers.registry import Processor
from workers.runner import Runner

FILM = {"filePath": "film.mp4"}
LINK = {"link": "https://example.org/clip"}


def complaint(request: type[msgspec.Struct], data: dict[str, object]) -> MalformedError:
    with pytest.raises(MalformedError) as caught:
        registry.read(request, data)
    return caught.value


@pytest.mark.parametrize(
    ("request_type", "data", "message"),
    [
        (
            cutter.Request,
            {**FILM, "mode": "fast"},
            'mode: must be one of auto, copy, exact, is "fast"',
        ),
        (
            preview.Request,
            {**FILM, "animated": "mp4"},
            'animated: must be one of true, false, gif, webp, is "mp4"',
        ),
        (
            cutter.Request,
            {**FILM, "segmentTime": -5},
            "segmentTime: must be a number > 0 and <= 86400, is -5",
        ),
        (
            preview.Request,
            {**FILM, "sprite": {"columns": 500}},
            "sprite.columns: must be a whole number >= 1 and <= 100, is 500",
        ),
        (
            cutter.Request,
            {**FILM, "ranges": [{"start": 1}]},
            "ranges[0]: its field end is missing; "
            'for example {"ranges":[[10,20.5],["1:00","1:30"]]}',
        ),
        (
            cutter.Request,
            {**FILM, "ranges": ["1-2"]},
            "ranges[0]: must be an object or a list, is text; "
            'for example {"ranges":[[10,20.5],["1:00","1:30"]]}',
        ),
        (
            download.Request,
            {**LINK, "subtitles": ["en", "pt br"]},
            'subtitles[1]: cannot be "pt br"; for example {"subtitles":["en","pt-BR"]}',
        ),
        (
            download.Request,
            {**LINK, "format": "best; rm"},
            'format: cannot be "best; rm"; for example {"format":"bv*[ext=webm]+ba"}',
        ),
        (cutter.Request, {}, "filePath: is missing"),
        (
            cutter.Request,
            {"filepth": "a.mp4"},
            "filePath: is missing (did you mean filePath for filepth?)",
        ),
        (
            download.Request,
            {"lnk": "https://x.example"},
            "link: is missing (did you mean link for lnk?)",
        ),
    ],
)
def test_a_complaint_says_what_is_allowed_and_what_came(
    request_type: type[msgspec.Struct], data: dict[str, object], message: str
) -> None:
    assert complaint(request_type, data).message == message


def test_the_remedy_names_the_field_of_the_message() -> None:
    assert complaint(cutter.Request, {}).hint == "correct the message: field filePath"
    assert MalformedError("mode, height", "no").hint == "correct the message: fields mode, height"
    assert MalformedError("body", "is empty").hint == "correct the message: its body"
    assert MalformedError("x-delay", "is text").hint == "correct the message: header x-delay"


@pytest.mark.parametrize("value", ["x" * 10_000, [["y" * 10_000]], float("nan"), {"a": None}])
def test_no_value_makes_a_complaint_long_or_fail(value: object) -> None:
    for field in ("mode", "segmentTime", "ranges"):
        assert len(complaint(cutter.Request, {**FILM, field: value}).message) < 250


@pytest.mark.parametrize(
    ("request_type", "data", "remarks"),
    [
        (
            cutter.Request,
            {**FILM, "segmenttime": 5},
            ("unknown field segmenttime: did you mean segmentTime?",),
        ),
        (
            cutter.Request,
            {**FILM, "silence": {"lenght": 4}},
            ("unknown field silence.lenght: did you mean length?",),
        ),
        (
            cutter.Request,
            {**FILM, "ranges": [{"start": 0, "end": 1, "ends": 2}, [2, 3]]},
            (),  # both are there: nothing was meant by it that is not said
        ),
        (
            preview.Request,
            {**FILM, "sprite": {"cols": 4}},
            ("unknown field sprite.cols: did you mean columns?",),
        ),
        (download.Request, {**LINK, "userid": 7}, ("unknown field userid: did you mean userId?",)),
        (download.Request, {**LINK, "than": "a"}, ("unknown field than: did you mean then?",)),
        (download.Request, {**LINK, "then": {"pool": "a"}}, ()),
        (download.Request, {**LINK, "from": "u", "noreply": True, "chat": {"links": 1}}, ()),
        (download.Request, {**LINK, "x" * 10_000: 1, "ticket": 7, "": 0}, ()),
    ],
)
def test_an_unknown_field_that_looks_like_a_known_one_is_remarked_upon(
    request_type: type[msgspec.Struct], data: dict[str, object], remarks: tuple[str, ...]
) -> None:
    registry.read(request_type, data)

    assert misspelled(request_type, data) == remarks


@pytest.mark.parametrize(("said", "size"), [(1000, 1000), ("1MB", 10**6), ("8 MiB", 2**23)])
def test_a_downloads_bound_is_written_as_a_pieces_bound_is(said: int | str, size: int) -> None:
    assert registry.read(download.Request, {**LINK, "maxSize": said}).most_bytes == size


@pytest.mark.parametrize("said", [0, -1, "0MB", "1 apple", ""])
def test_a_downloads_bound_that_is_no_size_is_refused(said: int | str) -> None:
    assert complaint(download.Request, {**LINK, "maxSize": said}).field == "maxSize"


async def test_a_remark_comes_with_the_result(tmp_path: Path) -> None:
    def handle(_job: Job, _context: JobContext) -> Result:
        return Result(warnings=("it is dark",))

    processor = Processor("mine", handle, preview.Request)
    job = Job("7f3", "preview_queue", {**FILM, "sample": 3})
    surroundings = Surroundings(tmp_path, {}, 60.0, lambda *_: None, lambda *_: None)

    outcome = await Runner(processor, surroundings, FakeClock()).run(job)

    assert isinstance(outcome, Completed)
    assert outcome.result["warnings"] == [
        "it is dark",
        "unknown field sample: did you mean samples?",
    ]


def test_a_message_full_of_strange_fields_is_remarked_upon_a_few_times_only() -> None:
    data: dict[str, object] = {**FILM, **{f"segmentTime{number}": 1 for number in range(1000)}}

    assert len(misspelled(cutter.Request, data)) == 10
