"""The copies we publish of a message: the same bytes and properties, with our headers added."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from consumers import jobs
from consumers.broker.port import Message
from consumers.outcome import Failure

ERROR_TEXT_LIMIT = 2000  # characters; headers travel in one AMQP frame


def again(message: Message, *, job_id: str, seq: int, attempts: int) -> Message:
    """Return the numbered copy that runs the job again."""
    return _with(message, **{jobs.JOB_ID: job_id, jobs.SEQ: seq, jobs.ATTEMPTS: attempts})


def moved(message: Message) -> Message:
    """Return the copy for the private lane: any delay it asked for is served on the way."""
    headers = {k: v for k, v in message.properties.headers.items() if k != jobs.DELAY}
    properties = msgspec.structs.replace(message.properties, headers=headers)
    return _with(Message(message.body, properties))


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended among the dead letters."""

    queue: str  # its pool's public queue: a dead-letter queue may be shared
    failure: Failure
    attempts: int
    at: datetime


def dead(message: Message, *, job_id: str, end: End) -> Message:
    """Return the copy for the dead letters, with what it died of."""
    hint = {jobs.ERROR_HINT: end.failure.hint[:ERROR_TEXT_LIMIT]} if end.failure.hint else {}
    return _with(
        message,
        **hint,
        **{
            jobs.JOB_ID: job_id,
            jobs.QUEUE: end.queue,
            jobs.ATTEMPTS: end.attempts,
            jobs.ERROR: end.failure.message[:ERROR_TEXT_LIMIT],
            jobs.ERROR_CODE: end.failure.code,
            jobs.FAILED_AT: end.at.isoformat(),
        },
    )


def _with(message: Message, **headers: object) -> Message:
    properties = message.properties
    if properties.expiration is not None:
        # It was for the first wait only: in our queues it would throw the job away.
        headers[jobs.EXPIRATION] = properties.expiration
        properties = msgspec.structs.replace(properties, expiration=None)
    return Message(message.body, properties.with_headers(**headers))
