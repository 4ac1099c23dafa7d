"""``email:send``: one message over SMTP, with its errors told apart.

Options of the pool: ``host``, ``port``, ``tls`` (``none``, ``starttls`` or ``tls``), ``user`` and
``password``, ``sender``, ``timeout`` in seconds. A refused address or message (5xx) is final, a
busy server (4xx) or none at all is tried again. SMTP knows no idempotency key: a worker that dies
between the server's yes and the end of the job sends the message twice; its ``Message-ID`` is the
same, so that mailboxes may drop the second.
"""

import smtplib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate
from typing import Annotated

import msgspec

from workers.processor import HostError, Job, JobContext, Reject, Result, Retry
from workers.registry import read

TIMEOUT = 30.0  # seconds
_Address = Annotated[str, msgspec.Meta(pattern=r"^[^\s@<>,;]+@[^\s@<>,;]+\Z", max_length=254)]
_Line = Annotated[str, msgspec.Meta(pattern=r"^[^\r\n]*\Z", max_length=500)]


class Request(msgspec.Struct):
    """What a job says: to whom, and what; with ``html`` the text is its plain version."""

    to: _Address | Annotated[list[_Address], msgspec.Meta(min_length=1, max_length=50)]
    subject: _Line
    text: str = ""
    html: str = ""


def handle(job: Job, context: JobContext) -> Result:
    """Send one message; it is the server's when this returns.

    Raises:
        Reject: every address or the message is refused.
        HostError: the server does not let us in; no job is to blame.
        Retry: the server is busy or away.
    """
    request = read(Request, job.data)
    receivers = [request.to] if isinstance(request.to, str) else request.to
    message = _message(request, receivers, job, context.options)
    try:
        with _server(context.options) as server:
            refused = server.send_message(message, to_addrs=receivers)
    except smtplib.SMTPRecipientsRefused as error:
        raise _refusal(error.recipients) from error
    except smtplib.SMTPAuthenticationError as error:
        says = f"the mail server does not let us in: {error.smtp_code}"
        raise HostError(says, code="no_login", hint="correct options.user and password") from error
    except smtplib.SMTPResponseException as error:
        raise _judged(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError) as error:
        says = f"the mail server could not be reached: {error}"
        raise Retry(says, code="network") from error
    warnings = tuple(f"{address} was refused" for address in refused)
    return Result(data={"accepted": len(receivers) - len(refused)}, warnings=warnings)


def _message(
    request: Request, receivers: list[str], job: Job, options: Mapping[str, object]
) -> EmailMessage:
    message = EmailMessage()
    message["From"] = str(options.get("sender", "noreply@localhost"))
    message["To"] = ", ".join(receivers)
    message["Subject"] = request.subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{job.queue}.{job.id}@rabbit-supervisor>"
    message.set_content(request.text)
    if request.html:
        message.add_alternative(request.html, subtype="html")
    return message


@contextmanager
def _server(options: Mapping[str, object]) -> Iterator[smtplib.SMTP]:
    host, port = str(options.get("host", "localhost")), int(str(options.get("port", 25)))
    tls, timeout = str(options.get("tls", "none")), float(str(options.get("timeout", TIMEOUT)))
    secure = ssl.create_default_context()
    if tls == "tls":
        opened: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=timeout, context=secure)
    else:
        opened = smtplib.SMTP(host, port, timeout=timeout)
    with opened as server:
        if tls == "starttls":
            server.starttls(context=secure)
        if user := str(options.get("user") or ""):
            server.login(user, str(options.get("password", "")))
        yield server


def _refusal(refused: Mapping[str, tuple[int, bytes]]) -> Reject | Retry:
    """Return what follows when no address was taken: if one may be later, all are tried again."""
    waits = [answer for answer in refused.values() if answer[0] < 500]
    return _judged(*(waits or list(refused.values()))[0])


def _judged(code: int, words: bytes | str) -> Reject | Retry:
    said = words.decode(errors="replace") if isinstance(words, bytes) else words
    says = f"the mail server answered {code} {said}"
    if code < 500:
        return Retry(says, code="busy")
    return Reject(says, code="refused", hint="correct the address or the message")
