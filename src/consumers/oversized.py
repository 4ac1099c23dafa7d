"""Dead letters too large to record: moved into a private queue, where they wait for a person.

Left where they are they would fill the prefetch, and nobody would hear of the letters behind them.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from consumers import copies, jobs, logs
from consumers.broker.port import Delivery, Session
from consumers.errands import Errands
from consumers.errors import BrokerError, ForbiddenError, UnroutableError
from consumers.kept import Kept
from consumers.topology import oversized, plain

LIMIT = 16_000_000  # bytes of a body; what is larger does not fit the pipe to the coordinator
REMEMBERED = 1000  # letters in hand that were spoken of

REMEDY = (
    "fetch what you need with a tool of the broker and purge that queue; have the publisher send "
    "a link instead, the limit cannot be raised"
)
STUCK = (
    "the broker does not take them again, the log says why: raise its max_message_size and "
    "restart, or stop the supervisor and fetch or delete them with a tool of the broker"
)

log = logs.get(__name__)


def finding(dead: str, count: int) -> str:
    """Return how many letters of ``dead`` were too large and moved aside, the limit, and where."""
    return f"{_letters(count)}, not recorded, kept in {oversized(dead)}"


def warnings(dead: str, *, aside: int, staying: int) -> tuple[str, ...]:
    """Return what is to be said of letters that were moved aside, and of those that were not."""
    moved = f"{finding(dead, aside)}: {REMEDY}"
    stuck = f"{_letters(staying)}, not recorded, kept in {dead}: {STUCK}"
    return (*([moved] if aside else []), *([stuck] if staying else []))


def _letters(count: int) -> str:
    letters = "1 dead letter" if count == 1 else f"{count:,} dead letters"
    return f"{letters} over {LIMIT / 1e6:g} MB"


@dataclass(frozen=True, slots=True)
class _Refusal:
    """From which size on nothing is moved for now: trying it has cost us a session."""

    size: int = 0
    until: float = -math.inf  # monotonic seconds


class Oversized:
    """Moves letters aside, one at a time; what the broker does not take again stays in hand."""

    def __init__(self, kept: Kept, limit: int, stays: Callable[[Session], None]) -> None:
        """``stays`` is told of each letter that is left unsettled, and takes a delivery's place."""
        self._kept = kept
        self._limit = limit  # only to be told: who gives us a letter has judged it
        self._stays = stays
        self._session: Session | None = None
        self._moves = Errands()
        self._turn = asyncio.Lock()  # one body on its way is enough
        self._refusal = _Refusal()
        self._spoken_of: dict[int, None] = {}  # of those in hand, the oldest first

    def open(self, session: Session) -> None:
        """Take letters of this session from now on."""
        self._session = session

    def lost(self) -> None:
        """Forget the ended session."""
        self._session = None
        self._kept.lost()

    async def close(self) -> None:
        """Break off what is under way: during an alarm of the broker it could take for ever."""
        await self._moves.cancel()

    def take(self, session: Session, delivery: Delivery) -> None:
        """Take a letter; it is settled when its copy is stored, not before."""
        refusal, size = self._refusal, len(delivery.message.body)
        if size >= refusal.size and self._kept.clock.monotonic() < refusal.until:
            self._keep(session, delivery)
        else:
            self._moves.run(self._move(session, delivery))

    async def _move(self, session: Session, delivery: Delivery) -> None:
        into = oversized(delivery.queue)
        try:
            async with self._turn:
                if session is not self._session:
                    return  # it comes again with the next one
                await session.lay(plain(into))
                await self._copy(session, delivery, into)
            await session.ack(delivery)
        except asyncio.CancelledError:
            self._kept.keep(session, delivery)
            raise
        except BrokerError as error:
            log.info("dead letter not moved aside", into=into, why=str(error))
            self._keep(session, delivery)
        else:
            facts = self._facts(delivery)
            log.error("dead letter too large to record, moved aside", into=into, **facts)

    async def _copy(self, session: Session, delivery: Delivery, into: str) -> None:
        # Without its expiration, which would throw it away there.
        letter = copies.refreshed(delivery.message)
        try:
            await session.publish(into, letter)
        except UnroutableError:
            raise
        except BrokerError as error:
            self._session = None  # this has ended it, and would end the next one as well
            is_final = isinstance(error, ForbiddenError)  # over the broker's own limit, say
            until = math.inf if is_final else self._kept.clock.monotonic() + self._kept.after
            self._refusal = _Refusal(len(letter.body), until)
            raise

    def _keep(self, session: Session, delivery: Delivery) -> None:
        self._speak_of(delivery)
        self._kept.keep(session, delivery)
        self._stays(session)

    def _speak_of(self, delivery: Delivery) -> None:
        """Say that a letter stays where it is: once, for it comes again and again."""
        facts = self._facts(delivery)
        letter = hash((facts.get("job"), delivery.message.body))
        if letter in self._spoken_of:
            return
        self._spoken_of[letter] = None
        if len(self._spoken_of) > REMEMBERED:
            del self._spoken_of[next(iter(self._spoken_of))]
        log.error("dead letter too large to record, it stays in its queue", **facts)

    def _facts(self, delivery: Delivery) -> dict[str, object]:
        size, job_id = len(delivery.message.body), jobs.identity(delivery.message.properties)
        named = {} if job_id is None else {"job": job_id}
        return {"queue": delivery.queue, "bytes": size, "limit": self._limit, **named}
