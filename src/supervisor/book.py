"""The book: which jobs are in which worker's hand just now, and what is still to come of them.

A job is *running* from the verdict on its delivery to the end of its run, and *settling* from then
on until its worker says that the delivery is acked. All of it is memory: what must last is in the
ledger.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from consumers.desk import Claim
from supervisor.core.records import NO_KIN, Kin

Key = tuple[str, str]  # queue and job id
Holder = tuple[str, int]  # worker and incarnation
Words = tuple[str, str]  # queue and fingerprint


def pool_of(holder: Holder) -> str:
    """Return the pool of a worker, which is named POOL-N."""
    return holder[0].rpartition("-")[0]


@dataclass(slots=True, eq=False)
class Running:
    """A job in some worker's hand."""

    claim: Claim
    holder: Holder
    attempts: int  # processor failures before this run
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    # Set when the ledger has it, or nobody wants to know any more.
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    is_cut_off: bool = False  # its worker lost the session: the message will come again
    is_parked: bool = False  # a parked copy stands for its message, whatever becomes of the session
    is_final: bool = False  # its outcome is written, and it never runs again
    is_again: bool = False  # no run, but a redelivery that was recognised and is to be acked
    may_be_acked: bool = False  # its worker has said that it acks it now, or may have parked it
    kin: Kin = NO_KIN


@dataclass(slots=True, eq=False)
class Reading:
    """A job being looked up in the ledger; outdated when its run ends meanwhile."""

    key: Key
    is_outdated: bool = False


def _words(claim: Claim) -> Words:
    return claim.queue, claim.fingerprint


def _nobody_listens(_: Key) -> None:
    """Take no notice."""


class Book:
    """Every job in hand, by queue and id."""

    def __init__(self) -> None:
        self._running: dict[Key, Running] = {}
        self._settling: dict[Key, Running] = {}
        # Redeliveries without an id, as what they are; and runs whose ack is not on record yet.
        self._recognised: dict[Key, Running] = {}
        # All of these that came without an id, and which jobs they are.
        self._by_words: dict[Words, dict[Running, str]] = {}
        self._readings: set[Reading] = set()
        self._over: dict[Holder, int] = {}  # the newest session that a process has lost
        self._gone: dict[str, int] = {}  # worker -> its newest incarnation known to be dead
        self._steered: dict[Key, asyncio.Event] = {}
        self.steerings = 0  # how often a job was steered so far
        self.drained: set[str] = set()  # the pools whose queues are being emptied just now
        self.ended: Callable[[Key], None] = _nobody_listens  # told when a run or settling is over

    def running(self, key: Key) -> Running | None:
        """Return the run of a job, if it is running now."""
        return self._running.get(key)

    def kin(self, key: Key) -> Kin:
        """Return of which jobs one came that is in hand."""
        run = self._running.get(key) or self._settling.get(key)
        return NO_KIN if run is None else run.kin

    def relate(self, key: Key, kin: Kin) -> None:
        """Note of which jobs one came, if it is running now."""
        if (run := self._running.get(key)) is not None:
            run.kin = kin

    def is_in_hand(self, key: Key) -> bool:
        """Answer whether a job runs, or its outcome is being settled."""
        return key in self._running or key in self._settling

    def active(self, queue: str) -> int:
        """Return how many jobs of a queue are running."""
        return sum(1 for its_queue, _ in self._running if its_queue == queue)

    def held_by(self, holder: Holder) -> tuple[Key, ...]:
        """Return the jobs that run in one process."""
        return tuple(key for key, run in self._running.items() if run.holder == holder)

    def runs_in(self, pool: str) -> Mapping[Running, Key]:
        """Return the runs in the processes of one pool, and those that are being settled."""
        runs = (*self._running.items(), *self._settling.items())
        return {run: key for key, run in runs if pool_of(run.holder) == pool}

    def is_elsewhere(self, key: Key, holder: Holder) -> bool:
        """Answer whether a job runs in another process than this one."""
        run = self._running.get(key)
        return run is not None and run.holder != holder

    def is_gone(self, holder: Holder) -> bool:
        """Answer whether a process is known to be dead."""
        return holder[1] <= self._gone.get(holder[0], 0)

    # --- jobs that people steer -------------------------------------------------------------

    @asynccontextmanager
    async def steering(self, key: Key) -> AsyncIterator[None]:
        """Keep a job to ourselves: no delivery of it is judged meanwhile, and only one steers.

        Whoever was just looking it up looks again; a run of it that has begun goes on.
        """
        while key in self._steered:
            await self._steered[key].wait()
        self._steered[key] = over = asyncio.Event()
        try:
            yield
        finally:
            self.steerings += 1
            del self._steered[key]
            over.set()
            for reading in self._readings:
                reading.is_outdated |= reading.key == key

    def is_steered(self, key: Key) -> bool:
        """Answer whether somebody steers a job just now."""
        return key in self._steered

    async def left_alone(self, key: Key) -> bool:
        """Wait until nobody steers a job; answer whether somebody did."""
        was_steered = False
        while key in self._steered:
            was_steered = True
            await self._steered[key].wait()
        return was_steered

    # --- changes ----------------------------------------------------------------------------

    def enter(self, key: Key, run: Running) -> None:
        """Note that a job is in somebody's hand; what is still to come of a run before is moot."""
        before = self._settling.pop(key, None)
        if before is not None and before.claim.job_id is None:
            self.linger(key, before)  # its copy is here already, its own message not acked yet
        # It may have been claimed before its session was lost, and be heard of afterwards.
        run.is_cut_off |= self.is_over(run.holder, run.claim)
        self._running[key] = run
        self._index(key, run)

    def close(self, key: Key, *, is_final: bool | None = None) -> None:
        """Note the end of a run.

        With an outcome it is settling until its delivery is acked: ``is_final`` says whether the
        job never runs again. None: it ended without one. A dead process settles nothing any more:
        it never heard of this outcome, so its delivery comes again.
        """
        for reading in self._readings:
            reading.is_outdated |= reading.key == key
        run = self._running.pop(key, None)
        if run is not None:
            run.ended.set()
            if is_final is not None and not self.is_gone(run.holder):
                run.is_final = is_final
                self._settling[key] = run
            else:
                self._drop(run)
        self.ended(key)

    def park(self, key: Key, seq: int, *, is_owed: bool) -> None:
        """Note that parked copy ``seq`` stands for a job's message; owed, that comes once more."""
        run = self._running.get(key) or self._settling.get(key)
        if run is not None and run.claim.seq < seq:  # it may be of a run before this one
            run.is_parked = True
            run.is_cut_off |= is_owed

    def settle(self, key: Key, holder: Holder) -> Running | None:
        """Return the run that its own process has settled, or given up to settle; now forgotten."""
        run = self._settling.get(key)
        if run is None or run.holder != holder:
            return None
        self._drop(run)
        return self._settling.pop(key)

    def recognise(self, key: Key, holder: Holder, claim: Claim) -> None:
        """Note that a process is to settle a redelivery without an id, which is this job."""
        self.linger(key, Running(claim, holder, claim.attempts, is_again=True))

    def acking(self, key: Key, holder: Holder) -> None:
        """Note that a process acks a delivery without an id now; from here on there is doubt."""
        for run in (self._settling.get(key), self._recognised.get(key)):
            if run is not None and run.holder == holder:
                run.may_be_acked = True

    def misheard(self, holder: Holder) -> None:
        """Note that a word of a process was lost: it may have been that it acks."""
        for runs in (self._running, self._settling, self._recognised):
            for run in runs.values():
                run.may_be_acked |= run.holder == holder

    def linger(self, key: Key, run: Running) -> None:
        """Keep a settled run in view until that is on record: what has its words waits for it."""
        self._drop(self._recognised.pop(key, None))
        self._recognised[key] = run
        self._index(key, run)

    def resolve(self, key: Key, holder: Holder) -> None:
        """Note that it is on record what became of a delivery without an id."""
        if self.is_in_view(key, holder):
            self._drop(self._recognised.pop(key))

    def is_in_view(self, key: Key, holder: Holder) -> bool:
        """Answer whether it is not on record yet what a process has done with a delivery."""
        run = self._recognised.get(key)
        return run is not None and run.holder == holder

    def recognised_by(self, holder: Holder) -> tuple[tuple[Key, Running], ...]:
        """Return the jobs of which a process has a redelivery that it has not said was settled."""
        return tuple((key, run) for key, run in self._recognised.items() if run.holder == holder)

    def cut_off(self, holder: Holder, session: int) -> tuple[tuple[Key, Running], ...]:
        """Note that a process lost a session: what that brought will be delivered again.

        But not what is parked: that the process still settles. Returns the jobs that were
        settling.
        """
        self._over[holder] = session

        def comes_again(run: Running) -> bool:
            is_of_it = run.holder == holder and run.claim.session <= session
            return is_of_it and not run.is_parked

        for run in self._running.values():
            run.is_cut_off |= comes_again(run)
        return self._forget_settling(comes_again)

    def bury(self, holder: Holder) -> tuple[tuple[Key, Running], ...]:
        """Note that a process is dead; return the jobs it may or may not have acked."""
        self._gone[holder[0]] = max(holder[1], self._gone.get(holder[0], 0))
        self._over.pop(holder, None)
        return self._forget_settling(lambda run: run.holder == holder)

    def is_over(self, holder: Holder, claim: Claim) -> bool:
        """Answer whether the session that brought a message is known to be lost, or its worker."""
        return self.is_gone(holder) or claim.session <= self._over.get(holder, -1)

    def _forget_settling(self, ends: Callable[[Running], bool]) -> tuple[tuple[Key, Running], ...]:
        gone = {key: run for key, run in self._settling.items() if ends(run)}
        for key in gone:
            self._drop(self._settling.pop(key))
            self.ended(key)
        return tuple(gone.items())

    # --- for redeliveries without an id -----------------------------------------------------

    def coming_again(self, claim: Claim) -> tuple[str, ...]:
        """Return the jobs in hand that have the words of a message, and whose own comes again."""
        runs = self._by_words.get(_words(claim), {})
        return tuple(job_id for run, job_id in runs.items() if run.is_cut_off)

    def alike(self, claim: Claim) -> Mapping[Running, str]:
        """Return the jobs in hand that have the words of a message, and may be this one; their ids.

        None is that is acked, be it for a parked copy; and a job that lost its session is known to
        come again.
        """
        runs = self._by_words.get(_words(claim), {})
        return {
            run: job_id for run, job_id in runs.items() if not (run.is_cut_off or run.is_parked)
        }

    def _index(self, key: Key, run: Running) -> None:
        if run.claim.job_id is None:
            self._by_words.setdefault(_words(run.claim), {})[run] = key[1]

    def _drop(self, run: Running | None) -> None:
        if run is None or run.claim.job_id is not None:
            return
        runs = self._by_words.get(_words(run.claim), {})
        runs.pop(run, None)
        if not runs:
            self._by_words.pop(_words(run.claim), None)

    # --- look-ups ---------------------------------------------------------------------------

    def start_reading(self, key: Key) -> Reading:
        """Begin to watch whether a job's run ends while it is looked up."""
        reading = Reading(key)
        self._readings.add(reading)
        return reading

    def stop_reading(self, reading: Reading) -> None:
        """Watch no longer."""
        self._readings.discard(reading)
