"""The dead-letter consumer: takes what ended in ``Q_dlq``, has it written down, then acks it."""

from collections.abc import Mapping
from functools import partial

import msgspec

from consumers import jobs, logs
from consumers.broker.port import Delivery, Session
from consumers.desk import DeadLetter, Undertaker
from consumers.errands import Errands
from consumers.errors import BrokerError
from consumers.kept import Kept, usual
from consumers.outcome import Failure
from consumers.oversized import LIMIT, Oversized
from consumers.topology import PoolQueues

PREFETCH = 10
FOREIGN = "foreign"  # the code of what others put among the dead letters
LONGEST_TEXT = 2000  # characters of a link; the body has all of it

log = logs.get(__name__)


class DeadLetterConsumer:
    """Consumes a pool's dead letters through whatever session is current.

    Bodies over ``limit`` bytes are not recorded but moved aside; see ``consumers/oversized.py``.
    """

    def __init__(
        self, queues: PoolQueues, desk: Undertaker, kept: Kept | None = None, *, limit: int = LIMIT
    ) -> None:
        self._kept = kept or usual()  # what is too large and cannot be moved aside
        self._oversized = Oversized(self._kept, limit, self._stays)
        self._limit = limit
        self._places = 0  # of the prefetch that such letters took, since this consumer began
        self._queues = queues
        self._desk = desk
        self._session: Session | None = None
        self._consumer: str | None = None
        self._errands = Errands()

    @property
    def staying(self) -> int:
        """Return how many letters too large are in hand and stay in their queue."""
        return self._kept.count

    async def open(self, session: Session) -> None:
        """Declare the pool's queues and start to consume the dead letters."""
        await session.declare(self._queues)
        self._session = session
        self._oversized.open(session)
        self._consumer = await self._consume(session)

    def lost(self) -> None:
        """Forget the ended session."""
        self._session = None
        self._consumer = None
        self._oversized.lost()

    async def drain(self) -> None:
        """Take nothing new and return when everything in hand is written down."""
        session, self._session = self._session, None
        consumer, self._consumer = self._consumer, None
        try:
            if session is not None and consumer is not None:
                await session.cancel(consumer)
        except BrokerError as error:
            log.info("dead letters return with the session", why=str(error))
        await self._errands.finish()
        await self._oversized.close()

    async def abandon(self) -> None:
        """Drop what is in hand; it goes back with the session."""
        await self._oversized.close()
        await self._errands.cancel()

    async def _consume(self, session: Session) -> str:
        self._places = 0
        receive = partial(self._receive, session)
        return await session.consume(self._queues.dead, prefetch=PREFETCH, receive=receive)

    def _receive(self, session: Session, delivery: Delivery) -> None:
        if len(delivery.message.body) > self._limit:
            self._oversized.take(session, delivery)
        else:
            self._errands.run(self._bury(session, delivery))

    def _stays(self, session: Session) -> None:
        self._places += 1
        if self._places == PREFETCH:
            self._errands.run(self._consume_anew(session))

    async def _consume_anew(self, session: Session) -> None:
        """Let another consumer go on: what stays unsettled no longer fills the prefetch."""
        consumer, self._consumer = self._consumer, None
        if session is not self._session or consumer is None:
            return
        try:
            await session.cancel(consumer)
            following = await self._consume(session)
            if session is self._session:
                self._consumer = following
            else:  # a drain came between
                await session.cancel(following)
        except BrokerError as error:
            log.info("dead letters come with the next session", why=str(error))

    async def _bury(self, session: Session, delivery: Delivery) -> None:
        try:
            await self._desk.buried(read_letter(delivery, self._queues))
            await session.ack(delivery)
        except BrokerError as error:
            log.info("dead letter will come again", why=str(error))


def read_letter(delivery: Delivery, queues: PoolQueues) -> DeadLetter:
    """Return what a dead letter says about itself; a broken body is no reason to refuse it."""
    message, headers = delivery.message, delivery.message.properties.headers
    data = _object(message.body)
    sender = data.get("userId") if data.get("from") is None else data["from"]
    return DeadLetter(
        queue=jobs.named_in(message.properties, jobs.QUEUE) or queues.public,
        dead_queue=queues.dead,
        body=message.body,
        properties=message.properties,
        failure=_failure(headers),
        job_id=jobs.identity(message.properties),
        fingerprint=jobs.fingerprint(queues.public, message.body, message.properties),
        sender=str(sender) if isinstance(sender, str | int) else "",
        noreply=data.get("noreply") is True,
        attempts=_whole(headers.get(jobs.ATTEMPTS)),
        link=_text(data.get("link")),
        file_path=_text(data.get("filePath")),
        tag=delivery.number,
        name=jobs.type_of(data) or message.properties.type or "",
        duration=_whole(headers.get(jobs.DURATION)) / 1000,
    )


def _object(body: bytes) -> Mapping[str, object]:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _failure(headers: Mapping[str, object]) -> Failure:
    said = headers.get(jobs.ERROR)
    if said is None:
        return Failure("put into the dead letters by another program", code=FOREIGN)
    code = str(headers.get(jobs.ERROR_CODE, "failed"))
    hint = str(headers.get(jobs.ERROR_HINT, ""))
    permanent = headers.get(jobs.ERROR_PERMANENT) is not False  # letters of before do not say
    return Failure(str(said), code=code, hint=hint, permanent=permanent)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _text(value: object) -> str | None:
    return value[:LONGEST_TEXT] if isinstance(value, str) else None
