"""Answers to ``reply_to``: what became of a job, told to the queue its publisher named.

Once for each outcome, by the coordinator, after it is written down: so it does not matter which
worker had the job, or whether any was left. Best effort: an answer waits a while for the broker,
and one that nobody takes is logged.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from consumers import logs
from consumers.broker.port import Message, Note, Session
from consumers.clock import Clock
from consumers.errors import BrokerError, UnroutableError
from consumers.jobs import Properties
from supervisor.bulletin import Bulletin
from supervisor.desks.events import Told, Wanted
from supervisor.ledger.asked import asked
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger

PATIENCE = 60.0  # seconds that an answer waits for the broker
CONFIRM = 5.0  # seconds for the broker to take one
MOST = 5000  # answers that wait; the oldest give way
AT_ONCE = 100

# The broker itself takes these to the channel that asked, if it is still there; it says of none
# that it was taken, and calls each undeliverable that is published as one that must be.
DIRECT = "amq.rabbitmq.reply-to."
_ENDED_BY_PEOPLE = frozenset({"cancelled", "removed"})

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    to: str
    message: Message
    until: float


class _Ending(msgspec.Struct):
    duration: float = 0.0


class Replies:
    """A tenant of the coordinator's session."""

    def __init__(self, ledger: Ledger, bulletin: Bulletin, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._session: Session | None = None
        self._waiting: deque[_Answer] = deque(maxlen=MOST)
        self._is_wanted = asyncio.Event()  # there is a session, and something to say
        self._tray = bulletin.listen(Wanted(names=_ENDED_BY_PEOPLE))

    # --- the tenant -------------------------------------------------------------------------

    async def open(self, session: Session) -> None:
        """Answer by this session from now on."""
        self._session = session
        self._wake()

    def lost(self) -> None:
        """Keep what is to be answered for the next session."""
        self._session = None
        self._is_wanted.clear()

    # --- what is to be answered -------------------------------------------------------------

    def completed(self, to: Properties, result: Mapping[str, object], duration: float) -> None:
        """Answer with a result."""
        data = result["data"] if result.keys() == {"data"} else result
        self._answer(to, {"success": True, "data": data, "duration": duration})

    def failed(self, to: Properties, error: str, duration: float) -> None:
        """Answer with why there is none."""
        self._answer(to, {"success": False, "error": error, "duration": duration})

    def _answer(self, to: Properties, answer: Mapping[str, object]) -> None:
        if not to.reply_to:
            return
        if len(self._waiting) == MOST:
            log.warning("reply not sent, too many wait", reply_to=self._waiting[0].to)
        properties = Properties(
            correlation_id=to.correlation_id or to.message_id,
            content_type="application/json",
        )
        message = Message(msgspec.json.encode(answer), properties)
        until = self._clock.monotonic() + PATIENCE
        self._waiting.append(_Answer(to.reply_to, message, until))
        self._wake()

    def _wake(self) -> None:
        if self._session is not None and self._waiting:
            self._is_wanted.set()

    # --- its work ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Answer for ever."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._follow())
            both.create_task(self._send_for_ever())

    async def close(self) -> None:
        """Send what waits, if there is a session."""
        if self._session is not None:
            await self._send(self._session)

    async def _follow(self) -> None:
        """Answer for jobs that people ended, in whatever state those were."""
        while (news := await self._tray.take()) is not None:
            for told in news.told:
                await self._ended(told)

    async def _ended(self, told: Told) -> None:
        # One that is to run again, or was answered before it was removed, is in another state.
        question = partial(asked, queue=told.queue, job_id=told.job, state=told.name)
        try:
            to = await self._ledger.read(question)
        except LedgerError as error:
            log.warning("reply not sent", job=told.job, why=str(error))
            return
        if to is not None:
            ending = msgspec.json.decode(told.body, type=_Ending)
            self.failed(to, told.name, ending.duration)

    async def _send_for_ever(self) -> None:
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            if self._session is not None:
                await self._send(self._session)

    async def _send(self, session: Session) -> None:
        """Send all that waits; what an ended session did not take waits for the next."""
        while self._waiting and session is self._session:
            count = min(AT_ONCE, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            sent = await asyncio.gather(*(self._try(session, answer) for answer in batch))
            again = [answer for answer, is_done in zip(batch, sent, strict=True) if not is_done]
            self._waiting.extendleft(reversed(again))
            if again:
                await self._clock.sleep(1.0)

    async def _try(self, session: Session, answer: _Answer) -> bool:
        """Send one answer; True when it is sent, or never will be."""
        if self._clock.monotonic() > answer.until:
            log.warning("reply not sent in time", reply_to=answer.to, waited=PATIENCE)
            return True
        try:
            async with asyncio.timeout(CONFIRM):
                if answer.to.startswith(DIRECT):
                    await session.announce((Note("", answer.to, answer.message),))
                else:
                    await session.publish(answer.to, answer.message)
        except UnroutableError as error:
            log.warning("nobody to reply to", reply_to=answer.to, why=str(error))
        except (BrokerError, TimeoutError) as error:
            log.debug("reply waits", reply_to=answer.to, why=str(error))
            return False
        return True
