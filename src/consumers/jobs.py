"""The job envelope: what a message in a queue means, whoever published it.

A body is a JSON object in any language's hand. The bytes and AMQP properties travel on unchanged;
everything we add to a message lives in ``x-job-*`` headers named here.
"""

import enum
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from consumers.chains import THEN, steps_of
from consumers.errors import MalformedError
from consumers.nesting import at_level
from consumers.reasons import field_and_reason

JOB_ID = "x-job-id"
SEQ = "x-job-seq"
ATTEMPTS = "x-job-attempts"
PRIORITY = "x-job-priority"
MAX_ATTEMPTS = "x-job-max-attempts"  # in all, the first run included; else as the pool has it
ERROR = "x-job-error"
ERROR_CODE = "x-job-error-code"
ERROR_HINT = "x-job-error-hint"
ERROR_PERMANENT = "x-job-error-permanent"  # whether another attempt could not have helped
FAILED_AT = "x-job-failed-at"
DURATION = "x-job-duration"  # of the last run, in whole ms; of a job that ran at all
DELAY = "x-delay"
QUEUE = "x-job-queue"  # the public queue a dead letter comes from
HOME = "x-job-home"  # the public queue a job is known by, in a pool that is not that queue's
LANE = "x-job-lane"  # where a delayed message comes out
EXPIRATION = "x-job-expiration"  # the publisher's, kept where it must not act any more
FINGERPRINT = "x-job-fingerprint"  # of a message without an id, before it was replaced by a copy
REDELIVERED = "x-job-redelivered"  # it had been delivered before it was replaced by a copy
DROPPED = "x-job-headers-dropped"  # how many of the publisher's headers found no room
DELIVERY_COUNT = "x-delivery-count"  # a quorum queue's: how often the message came back

TYPE = "type"  # of a body: which of a pool's processors it is for, and the job's name
LONGEST_TYPE = 200  # characters; the beginning of a longer one names no processor
LONGEST_NAME = 255  # bytes that AMQP has for a name: what is longer in a header of ours is none
COMMON_FIELDS = ("from", "userId", "noreply", THEN)  # of a body, whoever works on it

NUL = "\0"
NO_NUL = r"must not contain the character NUL (\u0000)"
DEEPEST = 200  # lists and objects in each other: a body is read far down the stack, and passed on
LARGEST = 2**53  # of the numbers in our headers: what every language's JSON can say
TOO_DEEP = f"is nested too deeply; at most {DEEPEST} lists and objects may be in each other"

# The broker's own. RabbitMQ 3.10 silently drops a republished message that still carries those
# about its death (seen as a cycle), and CC would have a copy delivered to others once more.
BROKER_HEADERS = frozenset(
    {"CC", "BCC"}
    | {"x-death", "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason"}
    | {"x-last-death-exchange", "x-last-death-queue", "x-last-death-reason"}
    | {DELIVERY_COUNT, "x-acquired-count"}
)


class Priority(enum.IntEnum):
    """How urgent a job is, in the API, the CLI, YAML and ``x-job-priority``; 1 goes first."""

    CRITICAL = 1
    HIGH = 2
    NORMAL = 3
    LOW = 4
    BACKGROUND = 5

    @property
    def word(self) -> str:
        """Return the name people write."""
        return self.name.lower()

    @property
    def amqp(self) -> int:
        """Return the AMQP property that says the same; AMQP counts upwards, 5 is most urgent."""
        return 6 - self.value


Scale = Mapping[int, Priority]  # what numbers mean where people give them
ONE_TO_FIVE: Scale = MappingProxyType({each.value: each for each in Priority})


class Properties(msgspec.Struct, frozen=True, omit_defaults=True):
    """The AMQP properties of a message that we keep, with their AMQP names."""

    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    type: str | None = None
    app_id: str | None = None
    user_id: str | None = None
    expiration: str | None = None
    priority: int | None = None
    timestamp: datetime | None = None
    headers: Mapping[str, object] = {}

    def with_headers(self, **added: object) -> "Properties":
        """Return a copy with ``x_job_seq=1`` added as ``x-job-seq``, the broker's own stripped."""
        kept = {k: v for k, v in self.headers.items() if k not in BROKER_HEADERS}
        named = {key.replace("_", "-"): value for key, value in added.items()}
        return msgspec.structs.replace(self, headers=kept | named)


class Envelope(msgspec.Struct, frozen=True):
    """A message that was understood: what it asks for and on whose behalf.

    ``data`` is the body as published; the processor checks its own fields. ``sender`` is the
    body's ``from`` (or ``userId``), empty when nobody is to be told. ``attempts`` counts the
    processor failures so far; ``seq`` numbers the copies of one job.
    """

    data: Mapping[str, object]
    sender: str = ""
    noreply: bool = False
    priority: Priority = Priority.NORMAL
    job_id: str | None = None
    attempts: int = 0
    seq: int = 0
    delay: float = 0.0  # seconds still to wait before the first run, asked for by the publisher
    type: str = ""  # what kind of job it says it is: its body or, failing that, its AMQP property
    max_attempts: int | None = None  # None: as its pool has it


class Faults(msgspec.Struct, frozen=True, omit_defaults=True):
    """How often a job met a fault of the machine, and what became of that.

    ``refuted`` counts the faults after which another job of its queue was begun and done before
    this one ran again: the machine was well then.
    """

    met: int = 0
    refuted: int = 0


class Job(msgspec.Struct, frozen=True):
    """One job as a processor sees it."""

    id: str
    queue: str
    data: Mapping[str, object]
    attempt: int = 1  # 1 for the first run
    sender: str = ""
    noreply: bool = False
    priority: Priority = Priority.NORMAL
    faults: Faults = Faults()  # of the machine, in runs before this one
    type: str = ""  # what kind of job it says it is, if it does
    max_attempts: int | None = None  # None: as its pool has it
    seq: int = 0  # which copy of it this is


class _Common(msgspec.Struct):
    """The fields every job may carry; unknown ones are the processor's business."""

    from_: str | int | None = msgspec.field(name="from", default=None)
    user_id: str | int | None = msgspec.field(name="userId", default=None)
    noreply: bool | None = False


def read(
    body: bytes,
    properties: Properties,
    *,
    limit: int,
    urgency: Callable[[Properties], Priority] | None = None,
) -> Envelope:
    """Return the job in a message, or raise what is wrong with it.

    Args:
        body: the message as it came.
        properties: its AMQP properties.
        limit: the largest body accepted, in bytes.
        urgency: how its priority is found, if not as ``priority_of`` does.

    Raises:
        MalformedError: naming the field and what was expected of it.
    """
    data = _object(body, limit=limit)
    common = _common(data)
    _check_columns(data, common, properties)
    steps_of(data)
    sender = common.from_ if common.from_ is not None else common.user_id
    return Envelope(
        data=data,
        sender="" if sender is None else str(sender),
        noreply=bool(common.noreply),
        priority=(urgency or priority_of)(properties),
        job_id=identity(properties),
        attempts=_count(properties, ATTEMPTS),
        seq=_count(properties, SEQ),
        delay=_count(properties, DELAY) / 1000,
        type=type_of(data) or properties.type or "",
        max_attempts=_max_attempts(properties),
    )


def decoded(body: bytes) -> object:
    """Return what a body says; its text if it is not JSON, or is too deep to be passed on."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")
    return body.decode(errors="replace") if is_too_deep(body, data) else data


def type_of(data: object) -> str:
    """Return what kind of job a body says it is, nothing when it does not say so in words."""
    said = data.get(TYPE) if isinstance(data, Mapping) else None
    if not isinstance(said, str):
        return ""
    return said if len(said) <= LONGEST_TYPE else f"{said[:LONGEST_TYPE]}…"


def identity(properties: Properties) -> str | None:
    """Return the id by which a message's job is known, None if it carries none."""
    return named_in(properties, JOB_ID) or properties.message_id or None


def named_in(properties: Properties, header: str) -> str:
    """Return the job or queue that a header of ours names; nothing if it is too long for one."""
    said = str(properties.headers.get(header) or "")
    return said if is_name(said) else ""


def is_name(said: str) -> bool:
    """Answer whether a text is short enough for what AMQP has as a short one: names and ids."""
    return len(said.encode(errors="replace")) <= LONGEST_NAME


def number_of(properties: Properties) -> int:
    """Return which copy of its job a message is; 0 for what a publisher sent, or says nonsense."""
    try:
        return _count(properties, SEQ)
    except MalformedError:
        return 0


def fingerprint(queue: str, body: bytes, properties: Properties) -> str:
    """Return what a message without an id is recognised by: its queue, body and own properties."""
    if noted := named_in(properties, FINGERPRINT):
        return noted
    own = msgspec.structs.replace(
        properties, headers={k: v for k, v in properties.headers.items() if not _is_ours(k)}
    )
    parts = (queue.encode(), body, msgspec.json.encode(own, order="sorted"))
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]


def priority_named(value: object, scale: Scale = ONE_TO_FIVE) -> Priority:
    """Return the priority a person or header named: a word, or a number of the scale.

    Raises:
        MalformedError: for anything else.
    """
    scale = scale or ONE_TO_FIVE
    if isinstance(value, str) and value.isascii() and value.upper() in Priority.__members__:
        return Priority[value.upper()]
    if isinstance(value, int | str) and str(value) in {str(number) for number in scale}:
        return scale[int(value)]
    allowed = ", ".join(p.word for p in Priority)
    is_usual = scale == ONE_TO_FIVE
    numbers = "1 to 5" if is_usual else f"{', '.join(map(str, scale))} (the pool's priority_map)"
    raise MalformedError(PRIORITY, f"must be one of {allowed} or {numbers}, is {value!r}")


def priority_of(properties: Properties, scale: Scale = ONE_TO_FIVE) -> Priority:
    """Return how urgent a message is: by our header, else by the AMQP property.

    With a scale of its pool's own, the property counts by that: the nearest number below it.

    Raises:
        MalformedError: the header names no priority.
    """
    named = properties.headers.get(PRIORITY)
    if named is not None:
        return priority_named(named, scale)
    if scale and scale != ONE_TO_FIVE:
        below = [number for number in scale if number <= (properties.priority or 0)]
        return scale[max(below)] if below else Priority.NORMAL
    amqp = properties.priority or Priority.NORMAL.amqp
    return Priority(6 - min(amqp, 5))


def priority_in_lane(properties: Properties, scale: Scale = ONE_TO_FIVE) -> Priority:
    """Return how urgent a message in the private lane is: there the property is AMQP's, and ours.

    Raises:
        MalformedError: the header names no priority.
    """
    named = properties.headers.get(PRIORITY)
    return priority_of(properties) if named is None else priority_named(named, scale)


def _object(body: bytes, *, limit: int) -> dict[str, object]:
    if len(body) > limit:
        raise MalformedError("body", f"is {len(body):,} bytes, the limit is {limit:,}")
    if not body.strip():
        raise MalformedError("body", "is empty")
    try:
        data = msgspec.json.decode(body)
    except RecursionError as error:
        raise MalformedError("body", TOO_DEEP) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedError("body", f"is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise MalformedError("body", f"must be a JSON object, is {_kind(data)}")
    if is_too_deep(body, data):
        raise MalformedError("body", TOO_DEEP)
    return data


def is_too_deep(body: bytes, data: object) -> bool:
    """Answer whether there are too many levels; most bodies have no more brackets than that."""
    if body.count(b"{") + body.count(b"[") <= DEEPEST:
        return False
    return any(isinstance(part, dict | list) for part in at_level(data, DEEPEST))


def _check_columns(data: dict[str, object], common: _Common, properties: Properties) -> None:
    """Refuse what PostgreSQL has no room for: NUL in a text, a long name in an index."""
    words = {
        "from": common.from_,
        "userId": common.user_id,
        TYPE: type_of(data) or properties.type,
        "message_id": properties.message_id,
        **{header: properties.headers.get(header) for header in (JOB_ID, QUEUE, HOME, LANE)},
    }
    for field, word in words.items():
        if isinstance(word, str) and NUL in word:
            raise MalformedError(field, NO_NUL)
    for header in (JOB_ID, QUEUE, HOME, LANE):
        if not is_name(str(properties.headers.get(header) or "")):
            raise MalformedError(header, f"must be at most {LONGEST_NAME} bytes long")


def _common(data: dict[str, object]) -> _Common:
    try:
        return msgspec.convert(data, _Common)
    except msgspec.ValidationError as error:
        raise MalformedError(*field_and_reason(error)) from error


def _kind(value: object) -> str:
    kinds = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a flag"}
    return "null" if value is None else kinds.get(type(value), "something else")


def _count(properties: Properties, header: str) -> int:
    value = properties.headers.get(header, 0)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
        said = f"{value!r:.40}"
        raise MalformedError(header, f"must be a whole number, 0 to {LARGEST}, is {said}")
    return value


def _max_attempts(properties: Properties) -> int | None:
    if MAX_ATTEMPTS not in properties.headers:
        return None
    number = _count(properties, MAX_ATTEMPTS)
    if number < 1:
        raise MalformedError(MAX_ATTEMPTS, "must be 1 or more, the first run included, is 0")
    return number


def _is_ours(header: str) -> bool:
    return header.startswith("x-job-") or header in BROKER_HEADERS
