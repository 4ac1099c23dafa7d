"""Webhooks against a real HTTP server: signed, tried again, not lost by a restart."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumers.clock import SystemClock
from consumers.retry import RetryPolicy
from supervisor.core.records import Notice
from supervisor.notify.outbox import Outbox
from supervisor.notify.sinks import NotDeliveredError
from supervisor.notify.webhook import WebhookSink, signing_key, wait_asked_for
from tests.support.notices import NoticesInMemory, a_notice, all_delivered
from tests.support.ports import free_port
from tests.support.receiver import Answer, Received, Receiver

SECRET = "our-little-secret"  # noqa: S105 - guards nothing
NAME = "webhook:receiver"


@asynccontextmanager
async def a_sink(
    url: str, *, secret: str | None = SECRET, within: float = 5.0
) -> AsyncIterator[WebhookSink]:
    sink = WebhookSink(NAME, url, secret=secret, timeout=within, clock=SystemClock())
    try:
        yield sink
    finally:
        await sink.close()


async def _refusal(
    url: str, *, within: float = 5.0, notice: Notice | None = None
) -> NotDeliveredError:
    async with a_sink(url, within=within) as sink:
        with pytest.raises(NotDeliveredError) as caught:
            await sink.deliver(notice or a_notice(sink=NAME))
    return caught.value


def _signature_by_hand(request: Received, key: bytes) -> str:
    """The scheme once more, as a receiver would write it: nothing of ours is called."""
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
    digest = hmac.new(key, signed + request.body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


async def test_a_notice_arrives_with_its_body_and_a_signature_that_verifies() -> None:
    with Receiver() as receiver:
        async with a_sink(receiver.url) as sink:
            await sink.deliver(a_notice(sink=NAME))
        (request,) = receiver.received()

    assert request.body == b'{"event":"job.completed"}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "download_queue:1:completed"
    assert request.headers["webhook-signature"] == _signature_by_hand(request, SECRET.encode())
    sent_at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
    assert abs(SystemClock().utcnow() - sent_at) < timedelta(seconds=30)


async def test_a_whsec_secret_signs_with_the_bytes_it_encodes() -> None:
    key = bytes(range(32))
    with Receiver() as receiver:
        secret = "whsec_" + base64.b64encode(key).decode()
        async with a_sink(receiver.url, secret=secret) as sink:
            await sink.deliver(a_notice(sink=NAME))
        (request,) = receiver.received()

    assert request.headers["webhook-signature"] == _signature_by_hand(request, key)


def test_a_whsec_secret_that_is_no_base64_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="is not base64 after that") as caught:
        signing_key("whsec_hidden!")

    assert "hidden" not in str(caught.value)


async def test_without_a_secret_nothing_is_signed() -> None:
    with Receiver() as receiver:
        async with a_sink(receiver.url, secret=None) as sink:
            await sink.deliver(a_notice(sink=NAME))
        (request,) = receiver.received()

    assert "webhook-signature" not in request.headers


async def test_a_job_id_in_any_alphabet_and_with_line_breaks_is_a_valid_header() -> None:
    with Receiver() as receiver:
        async with a_sink(receiver.url) as sink:
            await sink.deliver(a_notice(sink=NAME, key="fila:vídeo 1\r\nx-evil: 1:completed"))
        (request,) = receiver.received()

    assert request.headers["webhook-id"] == "fila:v%C3%ADdeo%201%0D%0Ax-evil:%201:completed"
    assert "x-evil" not in request.headers
    assert request.headers["webhook-signature"] == _signature_by_hand(request, SECRET.encode())


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_answer_counts_as_delivered(status: int) -> None:
    with Receiver(Answer(status)) as receiver:
        async with a_sink(receiver.url) as sink:
            await sink.deliver(a_notice(sink=NAME))


@pytest.mark.parametrize("status", [400, 404, 408, 429, 500, 503])
async def test_any_other_answer_is_tried_again(status: int) -> None:
    with Receiver(Answer(status)) as receiver:
        refusal = await _refusal(receiver.url)

    assert f"answered {status}" in refusal.why
    assert not refusal.final


async def test_410_means_never_again() -> None:
    with Receiver(Answer(410)) as receiver:
        refusal = await _refusal(receiver.url)

    assert refusal.final


async def test_a_redirect_is_not_followed() -> None:
    with Receiver() as elsewhere, Receiver(Answer(307, (("location", elsewhere.url),))) as receiver:
        refusal = await _refusal(receiver.url)
        assert elsewhere.received() == []

    assert "redirects are not followed" in refusal.why


async def test_retry_after_is_passed_on() -> None:
    with Receiver(Answer(503, (("retry-after", "120"),))) as receiver:
        refusal = await _refusal(receiver.url)

    assert refusal.after == 120.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("Sun, 22 Nov 2026 05:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 04:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)

    assert wait_asked_for(header, now=now) == seconds


@pytest.mark.invariant(11)
async def test_a_receiver_that_does_not_answer_is_left_in_time() -> None:
    with Receiver(Answer(silent=True)) as receiver:
        refusal = await _refusal(receiver.url, within=0.2)

    assert "did not answer within 0.2 s" in refusal.why


async def test_a_receiver_that_is_not_there_is_named_without_secrets() -> None:
    port = free_port()

    refusal = await _refusal(f"http://user:pass-secret@127.0.0.1:{port}/path-secret?token=abc")

    assert refusal.why == f"127.0.0.1:{port} could not be reached (ConnectError)"


async def test_a_receiver_that_is_down_for_a_while_gets_its_notice_in_the_end() -> None:
    store = NoticesInMemory(a_notice(sink=NAME))
    quick = RetryPolicy(attempts=9, delay=0.01, max=0.02)
    with Receiver(Answer(503), Answer(503)) as receiver:
        async with a_sink(receiver.url) as sink:
            outbox = Outbox(store, [sink], clock=SystemClock(), policy=quick)
            await outbox.start()
            await store.until(all_delivered)
            await outbox.stop()
        requests = receiver.received()

    assert len(requests) == 3
    assert {request.headers["webhook-id"] for request in requests} == {"download_queue:1:completed"}


async def test_a_notice_that_waits_for_its_next_try_survives_a_restart() -> None:
    store = NoticesInMemory(a_notice(sink=NAME))
    quick = RetryPolicy(attempts=9, delay=0.01, max=0.02)
    with Receiver(Answer(503)) as receiver:
        async with a_sink(receiver.url) as sink:
            first = Outbox(store, [sink], clock=SystemClock(), policy=quick)
            await first.start()
            await store.until(lambda rows: rows[0].deliveries == 1)
            await first.stop()
        async with a_sink(receiver.url) as sink:
            second = Outbox(store, [sink], clock=SystemClock(), policy=quick, look_every=0.05)
            await second.start()
            await store.until(all_delivered)
            await second.stop()
        requests = receiver.received()

    assert len(requests) == 2


async def test_the_lines_the_manual_gives_to_receivers_tell_genuine_from_forged() -> None:
    manual = Path(__file__).parents[2] / "docs" / "operating.md"
    blocks = manual.read_text(encoding="utf-8").split("```python\n")[1:]
    lines = next(block.partition("```")[0] for block in blocks if "def is_genuine" in block)
    given: dict[str, Callable[[str, dict[str, str], bytes], bool]] = {}
    exec(lines, given)  # noqa: S102 - our own manual
    is_genuine = given["is_genuine"]
    with Receiver() as receiver:
        async with a_sink(receiver.url) as sink:
            await sink.deliver(a_notice(sink=NAME))
        (request,) = receiver.received()

    assert is_genuine(SECRET, request.headers, request.body)
    assert not is_genuine("another", request.headers, request.body)
    assert not is_genuine(SECRET, request.headers, request.body + b" ")
    assert not is_genuine(SECRET, request.headers | {"webhook-timestamp": "1"}, request.body)
