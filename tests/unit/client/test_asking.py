"""How a client asks: what is asked again, how answers and refusals are read."""

import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from supervisor_client import AsyncClient, Client
from supervisor_client import errors as kinds
from supervisor_client.answers import EventReader, refusal
from supervisor_client.errors import (
    ClientError,
    JobFailedError,
    RefusedError,
    TryLaterError,
    UnknownError,
    UnreachableError,
)
from supervisor_client.patience import (
    LONGEST,
    Seen,
    is_passing,
    out_of_patience,
    pause_before_next,
    until_next_look,
)
from supervisor_client.shapes import Chain, Failure, Family, JobRecord

STATS = b'{"waiting":1,"active":0,"completed":0,"failed":0,"delayed":0}'
BUSY = b'{"detail": "not now", "type": "/problems/not-now"}'
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
NOTHING = b""  # the server hangs up without a word


@pytest.mark.parametrize(
    ("error", "is_repeatable", "is_repeated"),
    [
        (UnreachableError("nobody"), False, True),  # it was certainly not done
        (UnreachableError("lost", was_sent=True), True, True),
        (UnreachableError("lost", was_sent=True), False, False),
        (TryLaterError("busy", status=429, after=None), True, True),
        (TryLaterError("busy", status=429, after=2.0), True, True),
        (TryLaterError("busy", status=429, after=LONGEST + 1), True, False),
        (UnknownError("no such job"), True, False),
        (ClientError("no answer in time"), True, False),
    ],
)
def test_what_may_be_done_twice_or_was_not_done_is_asked_again(
    error: ClientError, *, is_repeatable: bool, is_repeated: bool
) -> None:
    pause = pause_before_next(error, tried=1, tries=4, is_repeatable=is_repeatable, roll=0.5)

    assert (pause is not None) is is_repeated


def test_pauses_grow_and_are_as_long_as_was_asked_for_and_end() -> None:
    lost = UnreachableError("nobody")
    pauses = [
        pause_before_next(lost, tried=tried, tries=9, is_repeatable=True, roll=1.0) or 0.0
        for tried in range(1, 9)
    ]
    busy = TryLaterError("busy", status=429, after=2.0)

    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST
    assert pause_before_next(busy, tried=1, tries=2, is_repeatable=True, roll=0.0) == 2.0
    assert pause_before_next(lost, tried=4, tries=4, is_repeatable=True, roll=0.0) is None


def test_who_waits_for_a_job_looks_often_at_first_and_bears_what_passes() -> None:
    assert until_next_look(0) < until_next_look(3) < until_next_look(100) == 1.0
    assert is_passing(UnreachableError("away"), may_be_unknown=False)
    assert is_passing(UnknownError("no such job"), may_be_unknown=True)
    assert not is_passing(UnknownError("no such job"), may_be_unknown=False)


def test_who_waits_for_a_chain_is_told_in_words_what_failed() -> None:
    job = JobRecord("7f", "download", "q", "completed", 3, {})
    bad = JobRecord("9c", "preview", "q", "failed", 3, {}, error=Failure("no picture in it"))
    states = {"completed": 7, "failed": 4, "cancelled": 1}
    seen = Seen(job, Family(Chain(states, is_open=False), failed=(bad, bad, bad, bad)))
    alone = Seen(bad, Family(Chain({"failed": 1}, is_open=False), failed=(bad,)))

    with pytest.raises(JobFailedError) as many:
        seen.outcome()
    with pytest.raises(JobFailedError) as one:
        alone.outcome()

    assert str(many.value) == (
        "of job 7f and what came of it (12 jobs) 4 failed, 1 cancelled; "
        + "preview 9c: no picture in it; " * 3
        + "and 1 more"
    )
    assert str(one.value) == "job 9c of preview failed: no picture in it"


def test_a_job_whose_chain_goes_on_is_waited_for_if_that_was_asked() -> None:
    job = JobRecord("7f", "download", "q", "completed", 3, {})
    seen = Seen(job, Family(Chain({"completed": 1, "active": 2}, is_open=True)))
    error = out_of_patience("7f", 5.0, seen, None)

    assert Seen(job).is_over
    assert not seen.is_over
    assert error.job is job
    assert "is completed, 1 of the 3 jobs of its chain are completed after 5 s" in str(error)


def test_a_lost_answer_is_asked_for_again_where_that_is_harmless() -> None:
    answers = [NOTHING, _answer(503, BUSY), _answer(200, STATS)]
    with _server(answers) as (url, requests), Client(url) as client:
        assert client.queue("toys").stats().waiting == 1

    assert len(requests) == 3


def test_a_lost_answer_is_not_asked_for_again_where_that_may_harm() -> None:
    with (
        _server([NOTHING]) as (url, requests),
        Client(url) as client,
        pytest.raises(UnreachableError, match="hung up") as lost,
    ):
        client.queue("toys").drain()

    assert (len(requests), lost.value.was_sent) == (1, True)


async def test_a_job_is_sent_again_under_the_same_id() -> None:
    job = b'{"id":"x","pool":"p","queue":"q","state":"waiting","priority":3,"data":{}}'
    with _server([NOTHING, _answer(202, job)]) as (url, requests):
        async with AsyncClient(url, token="hush") as client:  # noqa: S106 - of this test
            assert (await client.publish("p", {})).id == "x"

    assert requests[0] == requests[1]
    assert b'"id":"' in requests[0]
    assert b"Authorization: Bearer hush" in requests[0]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, kinds.BadOrderError),
        (401, kinds.NotAllowedError),
        (403, kinds.NotAllowedError),
        (404, kinds.UnknownError),
        (409, kinds.ConflictError),
        (422, kinds.BadOrderError),
        (429, kinds.TryLaterError),
        (500, kinds.RefusedError),
        (503, kinds.TryLaterError),
    ],
)
def test_a_refusal_is_of_the_kind_that_says_what_to_do(
    status: int, kind: type[RefusedError]
) -> None:
    error = refusal(status, {"retry-after": "3"}, BUSY)

    assert type(error) is kind
    assert (str(error), error.status, error.kind) == ("not now", status, "not-now")


def test_a_stranger_who_answers_is_told_from_a_supervisor() -> None:
    assert "is it one?" in str(refusal(502, {}, b"<html>bad gateway"))
    with (
        _server([_answer(200, b"<html>")]) as (url, _),
        Client(url) as client,
        pytest.raises(ClientError, match="cannot be read"),
    ):
        client.health()


def test_a_stream_is_read_line_by_line() -> None:
    reader = EventReader()
    lines = [": here", "id: 7.1", "event: failed", 'data: {"name":"failed","id":"a","error":"no"}']
    lost = ["", "event: missed", 'data: {"missed":null}']

    told = [event for line in (*lines, *lost) if (event := reader.read(line))]

    assert [(event.name, event.key, event.id) for event in told] == [
        ("failed", "7.1", "a"),
        ("missed", "", ""),
    ]
    assert [event.data for event in told] == [{"error": "no"}, {"missed": None}]


@contextmanager
def _server(answers: Sequence[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Answer one request a connection, word for word as it was given; note the requests."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            for answer in answers:
                connection, _ = listening.accept()
                with connection:
                    requests.append(_whole(connection))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", requests
        thread.join(10)


def _whole(connection: socket.socket) -> bytes:
    """Read a request to its end."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65_536)
    head, _, body = read.partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65_536)
    return head + body


def _answer(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
