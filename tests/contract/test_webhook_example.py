"""The example processor, against a receiver on loopback."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.contexts import FakeContext
from tests.support.media_server import Answer, MediaServer, media_server
from workers import registry
from workers.processor import Job, Reject, Result, Retry

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _repository_as_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor of one's own is found from the directory the supervisor is started in."""
    monkeypatch.chdir(ROOT)


async def post(job: Job, context: FakeContext) -> Result:
    answer = registry.load("examples.webhook:handle").handle(job, context)
    assert inspect.isawaitable(answer)
    result = await answer
    assert isinstance(result, Result)
    return result


@pytest.fixture
def receiver() -> Iterator[MediaServer]:
    with media_server() as server:
        yield server


def context(url: str) -> FakeContext:
    return FakeContext(media=Path("unused"), options={"url": url, "timeout": 5})


JOB = Job(id="42", queue="hooks_queue", data={"to": "someone", "from": "user123"})


async def test_the_jobs_data_is_posted_with_a_key_against_doubles(receiver: MediaServer) -> None:
    url = receiver.serve("/hook", Answer(b"{}", kind="application/json"))

    result = await post(JOB, context(url))

    ((headers, body),) = receiver.bodies
    assert result.data == {"status": 200}
    assert json.loads(body) == JOB.data
    assert headers["Idempotency-Key"] == "hooks_queue/42"


@pytest.mark.parametrize("status", [400, 404, 410, 422])
async def test_a_client_error_is_never_tried_again(receiver: MediaServer, status: int) -> None:
    with pytest.raises(Reject, match=f"answered {status}"):
        await post(JOB, context(receiver.serve("/hook", Answer(b"", status))))


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_server_in_trouble_is_asked_again_when_it_says(
    receiver: MediaServer, status: int
) -> None:
    url = receiver.serve("/hook", Answer(b"", status, headers={"Retry-After": "9"}))

    with pytest.raises(Retry) as caught:
        await post(JOB, context(url))

    assert caught.value.after == 9.0


async def test_nobody_at_the_address_is_worth_another_try(free_port: int) -> None:
    with pytest.raises(Retry, match="could not be reached"):
        await post(JOB, context(f"http://127.0.0.1:{free_port}/hook"))


async def test_a_job_may_bring_its_own_address_and_payload(receiver: MediaServer) -> None:
    url = receiver.serve("/own", Answer())
    job = Job(id="1", queue="q", data={"url": url, "payload": {"a": 1}})

    await post(job, context("http://127.0.0.1:9/never"))

    assert json.loads(receiver.bodies[0][1]) == {"a": 1}


async def test_no_address_at_all_is_refused() -> None:
    with pytest.raises(Reject, match="not an http address"):
        await post(JOB, context(""))
