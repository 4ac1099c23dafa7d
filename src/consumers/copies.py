"""The copies we publish of a message: the same bytes and properties, with our headers added."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from consumers import jobs
from consumers.broker.port import Message
from consumers.jobs import Priority, Properties
from consumers.outcome import Failure
from consumers.topology import lane_level

ERROR_TEXT_LIMIT = 2000  # characters; headers travel in one AMQP frame
# What a letter says of its job's end, and what an earlier way to here had asked for.
_OF_AN_END = frozenset(
    {jobs.ERROR, jobs.ERROR_CODE, jobs.ERROR_HINT, jobs.ERROR_PERMANENT}
    | {jobs.FAILED_AT, jobs.DURATION, jobs.QUEUE}
    | {jobs.DELAY, jobs.HOME, jobs.REDELIVERED, jobs.LANE}
)
SLIM_TEXT = 255  # characters of a header in a slimmed copy: ids and names of queues stay whole


def again(message: Message, *, job_id: str, seq: int, attempts: int) -> Message:
    """Return the numbered copy that runs the job again."""
    return _with(message, **{jobs.JOB_ID: job_id, jobs.SEQ: seq, jobs.ATTEMPTS: attempts})


def anew(message: Message, *, job_id: str, seq: int, attempts: int) -> Message:
    """Return the numbered copy of a job that was dead or waited: how it ended is not said again."""
    headers = {k: v for k, v in message.properties.headers.items() if k not in _OF_AN_END}
    properties = msgspec.structs.replace(message.properties, headers=headers)
    return again(Message(message.body, properties), job_id=job_id, seq=seq, attempts=attempts)


def known_by(message: Message, queue: str) -> Message:
    """Return a copy for another pool: it says by which queue its job is known."""
    return _with(message, **{jobs.HOME: queue})


def home_of(message: Message, queue: str) -> str:
    """Return the queue that a job is known by, which was met in a pool's ``queue``."""
    return jobs.named_in(message.properties, jobs.HOME) or queue


def moved(message: Message, urgency: Priority | None = None) -> Message:
    """Return the copy for the private lane: any delay it asked for is served on the way.

    Where its pool counts priorities in its own way, its urgency is said in ours.
    """
    headers = {k: v for k, v in message.properties.headers.items() if k != jobs.DELAY}
    if urgency is not None and lane_level(message.properties) != urgency.amqp:
        headers[jobs.PRIORITY] = urgency.word
    properties = msgspec.structs.replace(message.properties, headers=headers)
    return _with(Message(message.body, properties))


def parked(message: Message, *, queue: str) -> Message:
    """Return the copy that the coordinator keeps, with the public queue its job belongs to."""
    return _with(message, **{jobs.QUEUE: queue})


def slimmed(message: Message) -> Message:
    """Return a copy that AMQP can surely carry: body, properties and our own words.

    What is said in headers must fit into one frame, together with ours; a message may have filled
    that already. Its foreign headers are lost with this, and properties too long for AMQP, which
    came by another way; how many they were is noted.
    """
    own = message.properties
    ours = {name: value for name, value in own.headers.items() if name.startswith("x-job-")}
    short = {k: v[:SLIM_TEXT] if isinstance(v, str) else v for k, v in ours.items()}
    long = dict.fromkeys(_too_long(own))
    dropped = len(own.headers) - len(ours) + len(long)
    told = {**short, jobs.DROPPED: dropped} if dropped else short
    return Message(message.body, msgspec.structs.replace(own, headers=told, **long))


def _too_long(properties: Properties) -> Iterator[str]:
    """Yield the names of properties that AMQP has no room for."""
    for name, value in msgspec.structs.asdict(properties).items():
        if isinstance(value, str) and not jobs.is_name(value):
            yield name


def refreshed(message: Message, **headers: object) -> Message:
    """Return the copy that takes a message's place where nobody counts how often it came."""
    return _with(message, **headers)


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended among the dead letters."""

    queue: str  # its pool's public queue: a dead-letter queue may be shared
    failure: Failure
    attempts: int
    at: datetime
    duration: float = 0.0  # seconds that its last run took


def dead(message: Message, *, job_id: str, end: End) -> Message:
    """Return the copy for the dead letters, with what it died of."""
    said: dict[str, object] = {}
    if end.failure.hint:
        said[jobs.ERROR_HINT] = end.failure.hint[:ERROR_TEXT_LIMIT]
    if end.duration > 0:
        said[jobs.DURATION] = round(end.duration * 1000)
    return _with(
        message,
        **said,
        **{
            jobs.JOB_ID: job_id,
            jobs.QUEUE: end.queue,
            jobs.ATTEMPTS: end.attempts,
            jobs.ERROR: end.failure.message[:ERROR_TEXT_LIMIT],
            jobs.ERROR_CODE: end.failure.code,
            jobs.ERROR_PERMANENT: end.failure.permanent,
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
