"""How deliveries get the slots of one worker: two lanes, the most urgent first, none hoarded.

A pool has two lanes, its public queue and the private ``Q.priority``. Jobs run in tasks of their
own, never in the broker's callback, so that a lost connection does not cancel them. A delivery
that waits for a slot for more than a second is given back, so that an idle worker gets it.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from consumers import jobs, logs
from consumers.broker.port import Delivery, Session
from consumers.clock import Clock
from consumers.errands import Errands
from consumers.errors import BrokerError, MalformedError, UnroutableError
from consumers.executor import HOLD, Executor
from consumers.hand import Hand
from consumers.holds import ALONE, SPENT, SUSPECT, Holds
from consumers.jobs import ONE_TO_FIVE, Envelope, Priority, Scale, priority_in_lane, priority_of
from consumers.pace import Pace
from consumers.stay import Nameless, Stay
from consumers.throttle import Throttle, Turnstile
from consumers.topology import LONGEST_DELAY, PoolQueues

NEXT = 0.03  # seconds in which the next delivery of a lane comes, if there is one
SETTLING = 0.5  # seconds that a job may take to be settled and have others wait for what follows

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Lanes:
    """What a consumer consumes, how many at once, and what it accepts as a job."""

    queues: PoolQueues
    slots: int
    body_limit: int  # bytes
    check: Callable[[Envelope], None]  # raises MalformedError
    body_warning: int = 100_000  # bytes: a body above it is accepted, and remarked upon
    most: int = 0  # jobs that are begun in all; 0: as many as come
    turnstile: Turnstile | None = None  # where a pool with a rate has its permits from
    scale: Scale = field(default_factory=lambda: ONE_TO_FIVE)  # what numbers mean as priorities


@dataclass(order=True, slots=True)
class _Held:
    """A delivery that waits for a slot; the most urgent, then the oldest, sorts first."""

    urgency: int
    arrival: int
    hand: Hand = field(compare=False)
    envelope: Envelope = field(compare=False)
    since: float = field(compare=False)


class Consumer:
    """Consumes a pool's two lanes through whatever session is current."""

    def __init__(self, lanes: Lanes, executor: Executor, clock: Clock) -> None:
        self._lanes = lanes
        self._executor = executor
        self._clock = clock
        self._session: Session | None = None
        self._consumers: dict[str, str] = {}  # queue -> consumer tag
        self._held: list[_Held] = []
        self._arrivals = 0
        # Jobs that ended, whose place among the deliveries of their lane is about to be filled.
        self._expected: dict[int, str] = {}
        self._busy = 0  # jobs that are claimed and not over
        self._nameless = Nameless(lanes.slots)
        self._begun = 0  # jobs so far
        self._is_leaving = False
        self.holds = Holds()
        executor.refusals.gate = self
        executor.solitude.most = lanes.slots
        # A permit is for now, and whoever is limited by key has its place from the claim on.
        self._claims_ahead = lanes.turnstile is None and not executor.limited_by
        if lanes.slots > 1:  # with one slot every job runs alone
            executor.solitude.changed = self._make_room
        self.errands = Errands()
        self._watch: asyncio.Task[None] | None = None  # of the held, while there are any
        self._pace = Pace(lanes.slots)
        executor.solitude.unmet = self._pace.forget
        self._throttle = Throttle(lanes.turnstile, clock)
        self._throttle.reopen = partial(self._guarded, self._open_lanes)
        self._throttle.fill = self._fill_slots
        self._lane_lock = asyncio.Lock()

    @property
    def is_consuming(self) -> bool:
        """Answer whether jobs can come: a full house that gave its lanes back counts."""
        return self._session is not None

    async def open(self, session: Session) -> None:
        """Declare the pool's queues and start to consume."""
        await session.declare(self._lanes.queues)
        self._session = session
        await self._open_lanes()

    def lost(self) -> None:
        """Forget what the ended session delivered; running jobs go on."""
        if self._session is not None:
            self._executor.lost(self._session.generation)
        self._session = None
        self._consumers.clear()
        self._held.clear()
        self._expected.clear()
        self._stop_watching()
        self._throttle.rest()

    async def hold(self, name: str, why: str) -> None:
        """Take nothing new until every hold is lifted; give back what has not started."""
        if self.holds.place(name, why):
            self._executor.solitude.send_away()
            await self._guarded(self._give_back)

    async def release(self, name: str) -> None:
        """Lift a hold; consume again if it was the last."""
        if self.holds.lift(name):
            await self._guarded(self._open_lanes)

    def _make_room(self) -> None:
        """Take nothing new while a suspect waits or runs; others are served by other workers."""
        if self._executor.solitude.is_wanted:
            if self.holds.place(SUSPECT, ALONE):
                self._spawn(self._give_back)
        elif self.holds.lift(SUSPECT):
            self._spawn(self._open_lanes)

    async def is_known(self) -> bool:
        """Ask the broker whether it knows the session still; however long the answer takes."""
        if self._session is None:
            return False
        try:
            await self._session.answered(anew=True)
        except BrokerError:
            return False
        return True

    async def drain(self) -> None:
        """Take nothing new and return when everything that runs is settled."""
        self._is_leaving = True
        self._executor.solitude.send_away()
        await self._throttle.close()
        await self._guarded(self._give_back)
        await self.errands.finish()

    async def abandon(self, *, after: float = 0.0) -> None:
        """Stop what runs, ``after`` seconds for what is about to end.

        Its deliveries go back with the session.
        """
        self._is_leaving = True
        self._stop_watching()
        await self._throttle.close()
        if after:
            await self.errands.settle(after)
        await self.errands.cancel()

    @property
    def _is_open(self) -> bool:
        return not (self._is_leaving or self.holds or self._throttle.is_shut)

    # --- from delivery to slot --------------------------------------------------------------

    def _receive(self, session: Session, delivery: Delivery) -> None:
        if session is not self._session:
            return  # a straggler of an ended session: its broker delivers it again
        hand = Hand(session, delivery)
        self._executor.returns.notice(delivery)
        try:
            envelope = self._read(delivery)
        except MalformedError as error:
            self._spawn(partial(self._executor.refuse, hand, error))
            return
        if self._belongs_elsewhere(delivery, envelope):
            urgency = envelope.priority
            self._spawn(partial(self._executor.move, hand, delay=envelope.delay, urgency=urgency))
            return
        if self._executor.returns.is_tired(delivery):
            self._spawn(partial(self._executor.refresh, hand))
            return
        self._met(delivery.queue)
        self._hold(hand, envelope)

    def _read(self, delivery: Delivery) -> Envelope:
        message, is_public = delivery.message, delivery.queue == self._lanes.queues.public
        urgency = priority_of if is_public else priority_in_lane
        envelope = jobs.read(
            message.body,
            message.properties,
            limit=self._lanes.body_limit,
            urgency=partial(urgency, scale=self._lanes.scale),
        )
        if envelope.delay > LONGEST_DELAY:
            longest = f"{LONGEST_DELAY * 1000:.0f} ms (48 days)"
            raise MalformedError(jobs.DELAY, f"must be up to {longest}")
        self._lanes.check(envelope)
        if len(message.body) > self._lanes.body_warning:
            log.warning("large message", queue=self._lanes.queues.public, bytes=len(message.body))
        return envelope

    def _belongs_elsewhere(self, delivery: Delivery, envelope: Envelope) -> bool:
        is_public = delivery.queue == self._lanes.queues.public
        return envelope.delay > 0 or (is_public and envelope.priority is not Priority.NORMAL)

    def _hold(self, hand: Hand, envelope: Envelope) -> None:
        self._arrivals += 1
        now = self._clock.monotonic()
        heapq.heappush(
            self._held, _Held(envelope.priority, self._arrivals, hand, envelope, since=now)
        )
        self._fill_slots()
        if self._held and (self._watch is None or self._watch.done()):
            self._watch = asyncio.ensure_future(self._watch_the_held())

    def _fill_slots(self) -> None:
        while self._is_open and self._held and self._busy < self._room(self._held[0].hand):
            if self._expected and self._must_wait(self._held[0]):
                break
            ticket = self._throttle.take()
            if ticket is None:
                break
            item = heapq.heappop(self._held)
            self._busy += 1
            self._begun += 1
            self._spawn(partial(self._occupy, item, ticket))
            self._mind_the_most()
        self._ask_for_permits()

    def _room(self, hand: Hand) -> int:
        """How many jobs may be claimed and not over: one a slot; more of those that are quick.

        What has no id is not claimed ahead, so that few of its acks are under way at once.
        """
        is_ahead = self._claims_ahead and not hand.is_nameless
        return self._lanes.slots + (self._pace.ahead if is_ahead else 0)

    def _ask_for_permits(self) -> None:
        """Have a permit under way for each job that could begin, if the pool needs any."""
        if self._is_leaving or self.holds or self._session is None:
            self._throttle.rest()
        else:
            self._throttle.want(min(len(self._held), self._lanes.slots - self._busy))

    async def _occupy(self, item: _Held, ticket: int) -> None:
        """Run a job in a slot, which is free again when its stay is over."""
        stay, hand = Stay(self._nameless, partial(self._vacate, item)), item.hand
        try:
            hand.ran = lambda: stay.ran(is_nameless=hand.is_nameless)
            duration = await self._executor.execute(hand, item.envelope)
            if duration is not None:
                self._pace.took(duration)
            else:  # it did not run: another may
                self._throttle.spare(ticket)
                self._begun -= 1
                self._mind_the_most()
        finally:
            stay.settled()
            asyncio.get_running_loop().call_later(NEXT, self._expect_no_more, item.arrival)

    def _must_wait(self, item: _Held) -> bool:
        """Answer whether what comes next by the other lane may be more urgent than this job."""
        own = item.hand.delivery.queue
        is_urgent = own != self._lanes.queues.public and item.urgency < Priority.NORMAL
        return not is_urgent and any(queue != own for queue in self._expected.values())

    def _met(self, queue: str) -> None:
        """Note that what was expected by a lane has come."""
        for arrival, expected in self._expected.items():
            if expected == queue:
                del self._expected[arrival]
                return

    def _expect_no_more(self, arrival: int) -> None:
        """Let less urgent jobs begin: nothing came in the place of one that was acked."""
        if self._expected.pop(arrival, ""):
            self._fill_slots()

    def _vacate(self, item: _Held) -> None:
        self._busy -= 1
        self._expected[item.arrival] = item.hand.delivery.queue
        # An alarm of the broker may keep the copy of a job that failed for as long as it lasts.
        asyncio.get_running_loop().call_later(SETTLING, self._expect_no_more, item.arrival)
        self._fill_slots()
        if not self._lanes_fit():
            self._spawn(self._open_lanes)

    def _mind_the_most(self) -> None:
        """Take nothing new once as many jobs are begun as were asked for."""
        most = self._lanes.most
        if most and self._begun >= most:
            if self.holds.place(SPENT, f"it was to begin {most} jobs, and has"):
                self._spawn(self._give_back)
        elif self.holds.lift(SPENT):
            self._spawn(self._open_lanes)

    # --- lanes ------------------------------------------------------------------------------

    def _lanes_fit(self) -> bool:
        return len(self._consumers) == 2 and self._pace.granted == self._pace.prefetch

    async def _open_lanes(self) -> None:
        """Consume both lanes, each with the prefetch that the pace of the jobs asks for."""
        async with self._lane_lock:
            session, prefetch = self._session, self._pace.prefetch
            if session is None or not self._is_open or self._lanes_fit():
                return
            await self._close_lanes(session)
            for queue in (self._lanes.queues.priority, self._lanes.queues.public):
                consumer = await session.consume(
                    queue, prefetch=prefetch, receive=partial(self._receive, session)
                )
                if session is not self._session:
                    return  # it ended meanwhile, and its consumers with it
                self._consumers[queue] = consumer
            self._pace.granted = prefetch

    async def _watch_the_held(self) -> None:
        """Give everything back once the oldest has waited too long for a slot."""
        while self._held:
            oldest = min(item.since for item in self._held)
            waited = self._clock.monotonic() - oldest
            if waited >= HOLD:
                if self._busy < self._lanes.slots:  # it is for the rate that it waits
                    self._throttle.shut()
                self._spawn(self._give_back)
                return
            await self._clock.sleep(HOLD - waited)

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _give_back(self) -> None:
        """Cancel both lanes and requeue what has not started."""
        async with self._lane_lock:
            session = self._session
            if session is None or (self._is_open and not self._held):
                return
            await self._close_lanes(session)
            while self._held:
                await self._executor.give_back(heapq.heappop(self._held).hand)
        self._ask_for_permits()
        self._stop_watching()
        if self._is_open and self._busy < self._lanes.slots:
            # The last job ended meanwhile and found its lanes in place: nobody else opens them.
            await self._open_lanes()

    async def _close_lanes(self, session: Session) -> None:
        while self._consumers:
            _, consumer = self._consumers.popitem()
            await session.cancel(consumer)

    # --- errands ----------------------------------------------------------------------------

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        self.errands.run(self._guarded(work))

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Let the broker's troubles pass: what is not settled comes again with a new session."""
        try:
            await work()
        except UnroutableError as error:
            log.warning("copy refused, the delivery stays unsettled", why=str(error))
        except BrokerError as error:
            log.debug("delivery comes again with the next session", why=str(error))
