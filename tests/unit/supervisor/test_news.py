"""Events as they travel: flat JSON on one line, never too large."""

import msgspec
import pytest

from supervisor import news
from supervisor.ports import Event
from tests.support.clocks import START


def test_an_event_is_one_flat_object_that_can_be_read_again() -> None:
    event = Event("completed", START, "q", "7", "a-1", {"result": {"n": 1}, "duration": 0.5})

    body = news.written(event)

    assert msgspec.json.decode(body) == {
        "name": "completed",
        "at": "2026-11-22T12:00:00Z",
        "queue": "q",
        "id": "7",
        "worker": "a-1",
        "result": {"n": 1},
        "duration": 0.5,
    }
    assert news.read(body) == event


def test_an_event_of_a_job_that_followed_another_names_that_one_and_the_first() -> None:
    event = Event("waiting", START, "q", "9", root="7", parent="8")

    body = news.written(event)

    about = {"queue": "q", "id": "9", "root": "7", "parent": "8"}
    assert msgspec.json.decode(body) == {
        "name": "waiting",
        "at": "2026-11-22T12:00:00Z",
        **about,
    }
    assert news.read(body) == event


def test_what_an_event_is_about_is_never_hidden_by_its_own_fields() -> None:
    body = news.written(Event("active", START, id="7", data={"id": "8", "name": "x"}))

    assert news.read(body).id == "7"
    assert news.read(body).name == "active"


def test_what_makes_an_event_too_large_is_left_out_and_named() -> None:
    data = {"data": {"text": "x" * news.LARGEST}, "attempt": 1}

    event = news.read(news.written(Event("active", START, id="7", data=data)))

    assert (event.id, event.data) == ("7", {"attempt": 1, "omitted": ["data"]})


@pytest.mark.parametrize("body", [b'{"a": 1}', b'{\n  "a": 1\n}\n', b'{\r\n"a":\r 1}'])
def test_the_body_of_a_job_is_told_on_one_line(body: bytes) -> None:
    event = Event("active", START, data={"data": news.in_one_line(body)})

    said = news.written(event)

    assert b"\n" not in said
    assert b"\r" not in said
    assert news.read(said).data == {"data": {"a": 1}}


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("completed", True),
        ("worker.crashed", True),
        ("worker.*", True),
        ("pool.*", True),
        ("complete", False),
        ("completed.*", False),
        ("*", False),
        ("", False),
    ],
)
def test_what_can_be_asked_for_is_known(name: str, is_known: bool) -> None:  # noqa: FBT001 - a case
    assert news.is_known(name) is is_known


def test_a_routing_key_begins_with_the_queue() -> None:
    assert news.route("completed", "my.queue") == "my.queue.completed"
    assert news.route("worker.crashed", "") == "worker.crashed"
