"""The webhook sink: each notice is one signed POST, in the manner of Standard Webhooks.

Headers: ``webhook-id`` (the idempotency key, percent-encoded), ``webhook-timestamp`` (Unix
seconds of this try) and ``webhook-signature: v1,BASE64``, the HMAC-SHA256 of
``ID.TIMESTAMP.BODY`` under the secret. A secret that begins with ``whsec_`` is base64 behind
that, any other is used as it is written. See https://www.standardwebhooks.com/.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import httpx

from consumers.clock import Clock
from supervisor.core.records import Notice
from supervisor.notify.sinks import NotDeliveredError, address

BASE64_SECRET = "whsec_"  # noqa: S105 - the prefix of secrets, not one
GONE = 410
MOST_READ = 64 * 1024  # bytes of an answer that are read to keep the connection


class WebhookSink:
    """Posts notices to one URL. Only a 2xx answer counts as delivered; 410 ends it for good."""

    def __init__(
        self, name: str, url: str, *, secret: str | None, timeout: float, clock: Clock
    ) -> None:
        """Prepare the sink; nothing is opened before the first notice.

        Args:
            name: what the outbox knows it by (``sinks.webhook_names``).
            url: where to post.
            secret: signs the requests; without one they are not signed.
            timeout: seconds a whole try may take.
            clock: for timestamps and for dates in ``Retry-After``.

        Raises:
            ValueError: the secret begins with ``whsec_`` but is not base64 behind that.
        """
        self._name = name
        self._url = url
        self._key = None if secret is None else signing_key(secret)
        self._timeout = timeout
        self._clock = clock
        self._client: httpx.AsyncClient | None = None

    @property
    def name(self) -> str:
        """What the outbox knows it by."""
        return self._name

    async def deliver(self, notice: Notice) -> None:
        """Post the notice; returns when the receiver has answered 2xx."""
        at = self._clock.utcnow()
        headers = headers_for(notice, key=self._key, at=at)
        where = address(self._url)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._post(notice.body, headers)
        except (TimeoutError, httpx.TimeoutException) as error:
            why = f"{where} did not answer within {self._timeout:g} s"
            raise NotDeliveredError(why) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # The library's own words may quote the URL, whose path can be a secret.
            why = f"{where} could not be reached ({type(error).__name__})"
            raise NotDeliveredError(why) from error
        refusal = judge(answer, where=where, now=at)
        if refusal is not None:
            raise refusal

    async def close(self) -> None:
        """Close the connections that are kept open."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._timeout, follow_redirects=False)
        request = self._client.stream("POST", self._url, content=body, headers=headers)
        async with request as response:
            read = 0
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > MOST_READ:
                    break
        return response


def signing_key(secret: str) -> bytes:
    """Return the bytes a secret stands for.

    Raises:
        ValueError: it begins with ``whsec_`` but is not base64 behind that.
    """
    if not secret.startswith(BASE64_SECRET):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(BASE64_SECRET), validate=True)
    except binascii.Error:
        message = "the webhook's secret begins with whsec_ but is not base64 after that"
        raise ValueError(message) from None


def headers_for(notice: Notice, *, key: bytes | None, at: datetime) -> dict[str, str]:
    """Return the headers of one try at ``at``, signed if there is a key."""
    # Job ids are the publisher's words; a header takes no line breaks and no other alphabets.
    identity = quote(notice.key, safe=":@/+~")
    seconds = str(int(at.timestamp()))
    headers = {
        "content-type": "application/json",
        "user-agent": "rabbit-supervisor",
        "webhook-id": identity,
        "webhook-timestamp": seconds,
    }
    if key is not None:
        signed = b".".join((identity.encode(), seconds.encode(), notice.body))
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def judge(answer: httpx.Response, *, where: str, now: datetime) -> NotDeliveredError | None:
    """Return why an answer does not count as delivered, or None when it does."""
    if answer.is_success:
        return None
    after = wait_asked_for(answer.headers.get("retry-after", ""), now=now)
    if answer.status_code == GONE:
        return NotDeliveredError(f"{where} answered 410: it wants no more notices", final=True)
    why = f"{where} answered {answer.status_code}"
    if answer.has_redirect_location:
        why += "; redirects are not followed: configure the address it redirects to"
    return NotDeliveredError(why, after=after)


def wait_asked_for(retry_after: str, *, now: datetime) -> float | None:
    """Return the seconds a ``Retry-After`` header asks for: a number or a date (RFC 9110)."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
