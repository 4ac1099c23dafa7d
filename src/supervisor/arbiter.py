"""The arbiter: what a worker is to do with a delivery, from what is known of its job.

The rules are pure (``core/claims.py``, ``core/parked.py``); this side finds out what is known. A
delivery of a job that is running is parked or, where nothing is parked, waits until that run has
ended: no job runs twice at once.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

import msgspec

from consumers import logs
from consumers.clock import Clock
from consumers.desk import Claim, Condemn, Drop, Later, Move, Park, Run, Verdict
from consumers.errands import Errands
from supervisor.book import Book, Holder, Key, Running, pool_of
from supervisor.core.chains import refusal
from supervisor.core.claims import SETTLED, Wait, judge
from supervisor.core.parked import judge_running
from supervisor.core.records import NO_KIN, JobState, Kin, Known, PoolCard
from supervisor.doorman import Caller, Doorman, Place
from supervisor.ledger import chains, numbers
from supervisor.ledger.errors import LedgerClosedError, LedgerError
from supervisor.ledger.insist import insist
from supervisor.ledger.store import Ledger
from supervisor.parking import ParkingLot
from supervisor.recognition import Recognition
from workers.messages import Cancel

T = TypeVar("T")

STOPPING = 5.0  # seconds to react to the cancel flag, for a run that nobody wants any more
LOOK_AGAIN = 1.0  # seconds between two looks at a job that runs on another machine
LOOKS = 2  # until its delivery leaves the slot to others
ASIDE = 30.0  # seconds, and comes again
_SETTLING = Later | Move | Drop | Condemn  # verdicts that end with an ack

log = logs.get(__name__)


class Arbiter:
    """Judges claims, and enters what it lets run into the book and the ledger."""

    def __init__(self, ledger: Ledger, pools: Iterable[PoolCard], book: Book, clock: Clock) -> None:
        self._ledger = ledger
        self._pools = {pool.name: pool for pool in pools}
        self._book = book
        self._clock = clock
        self._errands = Errands()
        self._doorman = Doorman(ledger, clock)
        self.lot: ParkingLot | None = None  # where jobs in flight are parked, if they are
        self.recognition = Recognition(ledger, book, clock)
        self.learnt: Callable[[Claim, str], None] = _nobody_cares  # told of jobs seen first now
        self.send: Callable[[Holder, Cancel], None] = _nobody_hears  # the way to the workers

    async def judge(self, holder: Holder, claim: Claim) -> Verdict:
        """Return what a worker is to do with a delivery. Raises LedgerError."""
        steerings = self._book.steerings
        async with self.recognition.turn(claim):
            known = await self._recognise(holder, claim)
            job_id = known.id if known else claim.job_id or uuid.uuid4().hex
            is_recognised = known is not None and claim.job_id is None
            if known is None and claim.redelivered and self._book.is_over(holder, claim):
                return Drop(job_id, "its session is over")  # it comes again, and is judged then
            if claim.redelivered and claim.job_id is None:
                # Until its verdict is in the book: the same message may come by another worker.
                self._book.recognise((claim.queue, job_id), holder, claim)
        if is_recognised and steerings != self._book.steerings:
            known = await self._look_up((claim.queue, job_id))
        try:
            verdict = await self._decide(holder, claim, known, job_id)
        except LedgerClosedError:
            if not self._book.is_gone(holder):
                raise
            verdict = None
        if verdict is None and is_recognised:
            await self._forget(claim.queue, job_id)
        if not isinstance(verdict, _SETTLING):  # then it is no more, or it is in the book as a run
            self._book.resolve((claim.queue, job_id), holder)
        # Nobody hears this one; nothing is granted.
        return Drop(job_id, "its worker is gone") if verdict is None else verdict

    async def kin(self, key: Key) -> Kin:
        """Return of which jobs one came; nothing, when the ledger does not answer."""
        try:
            return await self._ledger.read(partial(chains.kin_of, queue=key[0], job_id=key[1]))
        except LedgerError:
            return NO_KIN

    async def _decide(
        self, holder: Holder, claim: Claim, known: Known | None, job_id: str
    ) -> Verdict | None:
        """Return the verdict once there is one; None when the worker is gone before."""
        key = (claim.queue, job_id)
        is_recognised = known is not None and claim.job_id is None
        look_up = partial(self._look_up, key)
        while not self._book.is_gone(holder):
            running = self._book.running(key)
            if known is None and running is not None and running.begun.is_set():
                known = await self._answer(holder, look_up)  # entered since it was looked up
            if await self._book.left_alone(key):
                known = await self._answer(holder, look_up)
                continue
            verdict = self._judge(holder, claim, known, job_id)
            if known is None and isinstance(verdict, Run):
                self.learnt(claim, job_id)
            if is_recognised and isinstance(verdict, _SETTLING):
                self._book.recognise(key, holder, claim)
            if isinstance(verdict, Run) and self._pools[pool_of(holder)].limits.by:
                granted = await self._let_in(holder, claim, verdict, known)
            else:
                granted = await self._follow(holder, claim, verdict)
            if granted is not None:
                self._book.relate(key, known.kin if known else NO_KIN)
                return granted
            known = await self._answer(holder, look_up)
        return None

    def _judge(
        self, holder: Holder, claim: Claim, known: Known | None, job_id: str
    ) -> Verdict | Wait:
        running = self._book.running((claim.queue, job_id))
        if running is not None and known is not None and self._parks(known):
            return judge_running(claim, known)
        verdict = judge(
            claim,
            known,
            running_on=running.holder[0] if running else None,
            pool=self._pools[pool_of(holder)],
            new_id=job_id,
        )
        failure = refusal(claim.body, self._pools) if isinstance(verdict, Run) else None
        if isinstance(verdict, Run) and failure is not None:
            # Before it runs: nobody would do what is to follow it, and that is known now.
            return Condemn(verdict.job_id, failure, attempts=verdict.attempts)
        return verdict

    async def _follow(
        self, holder: Holder, claim: Claim, verdict: Verdict | Wait
    ) -> Verdict | None:
        """Return what the worker is told; None when things have changed and are judged anew."""
        match verdict:
            case Wait(is_elsewhere=True):
                return await self._step_aside(holder, claim, verdict)
            case Wait(job_id=job_id):
                running = self._book.running((claim.queue, job_id))
                if running is not None and not running.begun.is_set():
                    await running.begun.wait()  # known then, it need not wait for its end perhaps
                elif running is not None:
                    await self._wait_for(running)
                return None
            case Park(job_id=job_id):
                running = self._book.running((claim.queue, job_id))
                if running is not None:
                    await running.begun.wait()
                number = partial(numbers.park, queue=claim.queue, job_id=job_id)
                seq = await self._answer(holder, partial(self._ledger.write, number))
                return msgspec.structs.replace(verdict, seq=seq) if seq else None
            case _:
                return await self._grant(holder, claim, verdict)

    async def _step_aside(self, holder: Holder, claim: Claim, wait: Wait) -> Later | None:
        """Wait a moment for the end of a run on another machine, then leave the slot to others.

        The delivery comes again as the job's next copy, which is numbered without touching the run.
        """
        key = (claim.queue, wait.job_id)
        for _ in range(LOOKS):
            await self._clock.sleep(LOOK_AGAIN)
            known = await self._answer(holder, partial(self._look_up, key))
            if known is None or not known.elsewhere or claim.job_id is None:
                return None
        number = partial(numbers.park, queue=claim.queue, job_id=wait.job_id)
        seq = await self._answer(holder, partial(self._ledger.write, number))
        why = f"it runs on the machine with the node id {wait.worker}"
        return Later(wait.job_id, ASIDE, seq, attempts=wait.attempts, why=why) if seq else None

    async def _let_in(
        self, holder: Holder, claim: Claim, run: Run, known: Known | None
    ) -> Verdict | None:
        """Grant a run if its key has room, else put it aside; None: it is judged anew."""
        key, is_nameless = (claim.queue, run.job_id), claim.job_id is None
        if is_nameless:
            # Once it is in the ledger, a message of the same words could be taken for it.
            self._book.recognise(key, holder, claim)
        caller = Caller(claim, run, known, self._pools[pool_of(holder)])
        reading = self._book.start_reading(key)
        try:
            answer = await self._doorman.admit(caller, partial(self._answer, holder))
        finally:
            self._book.stop_reading(reading)
        if not isinstance(answer.verdict, Run):
            return answer.verdict
        if is_nameless:
            self._book.resolve(key, holder)
        has_changed = reading.is_outdated or self._book.is_steered(key)
        if has_changed or self._book.is_gone(holder) or self._book.running(key) is not None:
            if answer.place is not None:
                answer.place.leave()
            return None
        granted = await self._grant(holder, claim, run)
        if answer.place is not None:
            self._take(answer.place, None if granted is None else self._book.running(key))
        return granted

    def _take(self, place: Place, running: Running | None) -> None:
        """Give a place to a run, or leave it if there is none after all."""
        if running is None:
            place.leave()
        else:
            self._doorman.entered(place, running)

    async def _answer(self, holder: Holder, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what the ledger says, once it reads or writes again.

        To ask the whole question again would not do: a message without an id is recognised once.

        Raises:
            LedgerClosedError: nobody is there to be answered, or nothing is written any more.
        """
        answers: list[T] = []

        async def hear() -> None:
            answers.append(await ask())

        def is_here() -> bool:
            return not self._book.is_gone(holder)

        if not await insist(hear, worthwhile=is_here, clock=self._clock):
            raise LedgerClosedError("the claim is not answered any more")
        return answers[-1]

    async def _forget(self, queue: str, job_id: str) -> None:
        """Have a message recognised once more: it was not settled, so it comes again."""
        await insist(partial(self._ledger.reopen, queue, job_id), clock=self._clock)

    def _parks(self, known: Known) -> bool:
        """Answer whether one more delivery of a running job need not wait for its end."""
        return self.lot is not None and self.lot.is_open and not known.state.is_final

    async def _wait_for(self, running: Running) -> None:
        """Return when a run has ended, or one need not wait for that any more."""
        waits = [asyncio.ensure_future(running.ended.wait())]
        if self.lot is not None and not self.lot.is_open:
            waits.append(asyncio.ensure_future(self.lot.opened()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _recognise(self, holder: Holder, claim: Claim) -> Known | None:
        """Return what is known of a delivery: by its id, or when redelivered by its looks."""
        if claim.job_id is not None:
            key = (claim.queue, claim.job_id)
            running = self._book.running(key)
            if running is not None and self.lot is None:
                return _running_now(claim.job_id)
            if running is not None:
                await running.begun.wait()
            return await self._look_up(key)
        return await self.recognition.recognise(holder, claim)

    async def _look_up(self, key: Key) -> Known | None:
        """Return what is committed of a job; read again if its run ended while we read."""
        while True:
            reading = self._book.start_reading(key)
            try:
                known = await self._ledger.known(*key)
            finally:
                self._book.stop_reading(reading)
            if not reading.is_outdated:
                return known

    async def _grant(self, holder: Holder, claim: Claim, verdict: Verdict) -> Verdict | None:
        """Enter what is granted; None if its job was ended in that moment: it is judged anew."""
        match verdict:
            case Run(job_id=job_id, attempts=attempts):
                running = Running(claim, holder, attempts)
                self._book.enter((claim.queue, job_id), running)
                if self._ledger.is_shared or pool_of(holder) in self._book.drained:
                    # Others write what becomes of jobs that are not in our book.
                    if not await self._begin(running, job_id):
                        if self._book.running((claim.queue, job_id)) is running:
                            self._book.close((claim.queue, job_id))
                        return None
                else:
                    # Not awaited here: the job need not wait, only its outcome does.
                    self._errands.run(self._begin_meanwhile(running, job_id))
            case Later() | Move():
                verdict = await self._numbered(holder, claim, verdict)
            case _:
                pass
        log.debug("claim judged", queue=claim.queue, job=verdict.job_id, verdict=verdict)
        return verdict

    async def _numbered(self, holder: Holder, claim: Claim, verdict: Later | Move) -> Verdict:
        """Return the order under the number that the ledger gives; a settled job gets none."""
        ask: Callable[[], Awaitable[int]]
        queue, job_id, seq = claim.queue, verdict.job_id, verdict.seq
        match verdict:
            case Later(delay=delay):
                ask = partial(self._ledger.defer, queue, job_id, seq=seq, delay=delay)
            case Move(pool=pool):
                ask = partial(self._ledger.move, queue, job_id, seq=seq, pool=pool)
        number = await self._answer(holder, ask)
        return msgspec.structs.replace(verdict, seq=number) if number else Drop(job_id, SETTLED)

    async def _begin_meanwhile(self, running: Running, job_id: str) -> None:
        """Have the ledger know a job that runs already; stop it if it was ended in that moment."""
        if await self._begin(running, job_id):
            return
        queue, worker = running.claim.queue, running.holder[0]
        log.warning("job has just been ended, stopping it", job=job_id, queue=queue, worker=worker)
        self.send(running.holder, Cancel(queue, job_id, seq=running.claim.seq, grace=STOPPING))

    async def _begin(self, running: Running, job_id: str) -> bool:
        """Have the ledger know the job; an outcome cannot be written before that.

        False: it is not to run, the ledger knows better.
        """
        claim, worker = running.claim, running.holder[0]
        pool, attempt = pool_of(running.holder), running.attempts + 1
        is_granted = True

        async def enter() -> None:
            nonlocal is_granted
            is_granted = await self._ledger.begin(
                claim, job_id=job_id, pool=pool, worker=worker, attempt=attempt
            )

        def is_here() -> bool:
            return not self._book.is_gone(running.holder)

        if is_here():
            await insist(enter, worthwhile=is_here, clock=self._clock)
        running.begun.set()
        return is_granted


def _nobody_cares(_: Claim, __: str) -> None:
    """Take no notice."""


def _nobody_hears(_: Holder, __: Cancel) -> None:
    """Say nothing."""


def _running_now(job_id: str) -> Known:
    """Return enough to wait by; it is looked up again when the run has ended."""
    return Known(id=job_id, state=JobState.ACTIVE)
