"""Cancelling over machines: what is asked of one supervisor is done by the one that runs the job.

The wish is committed to the ledger. PostgreSQL calls out at once that there is a new one; what is
missed is seen when the coordinator looks by itself. It cancels the job as if it had been asked, and
only then the wish is forgotten: whatever dies meanwhile, somebody fulfils it
(``ledger/cancellations.py``).
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from consumers import logs
from consumers.clock import Clock
from consumers.errands import Errands
from supervisor.book import Key
from supervisor.bulletin import Bulletin
from supervisor.core.cancellations import Step, Wished, came_first, step
from supervisor.core.records import JobRecord, JobState
from supervisor.ledger import cancellations, chains
from supervisor.ledger.errors import LedgerClosedError, LedgerError
from supervisor.ledger.store import Ledger
from supervisor.ports import ControlError, Event, WrongStateError

EVERY = 5.0  # seconds between two looks at what was asked of us
BETWEEN_LOOKS = 0.25  # seconds between two looks at a job that is being cancelled elsewhere
LONGEST = 30.0  # seconds that somebody waits here for the end of it

log = logs.get(__name__)


class Elsewhere:
    """Has jobs cancelled that other machines run."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def ask(self, record: JobRecord) -> None:
        """Have a job cancelled by whoever runs it; the wish is on the disk when this returns.

        Raises:
            WrongStateError: no other machine runs it any more.
            LedgerError: the ledger takes nothing now.
        """
        ask = partial(cancellations.ask, queue=record.queue, job_id=record.id)
        if not await self._ledger.write(partial(ask, now=self._clock.utcnow())):
            message = f"job {record.id} has just changed: look at it, and try again"
            raise WrongStateError(message)
        log.info("another machine is to cancel a job", job=record.id, queue=record.queue)

    async def end(self, record: JobRecord) -> JobRecord:
        """Wait for the end of a job that is to be cancelled; after a while return it as it is.

        Raises:
            WrongStateError: it ended by itself first.
        """
        until = self._clock.monotonic() + LONGEST
        while self._clock.monotonic() < until:
            await self._clock.sleep(BETWEEN_LOOKS)
            try:
                is_asked, record = await self._look(record)
            except LedgerError as error:
                log.debug("job not looked at", why=str(error))  # told of once, for all
                continue
            if how := came_first(record.state):
                message = f"job {record.id} {how}"
                raise WrongStateError(message)
            if record.state.is_final or not is_asked:
                break
        return record

    async def _look(self, record: JobRecord) -> tuple[bool, JobRecord]:
        """Return whether a job is still to be cancelled, and what became of it since."""
        ask = partial(cancellations.is_asked, queue=record.queue, job_id=record.id)
        is_asked = await self._ledger.read(ask)
        found = await self._ledger.show(record.id)
        return is_asked, record if found is None or found.queue != record.queue else found


class Cancellations:
    """Cancels the jobs that others were asked to, and that run here; ``cancel`` does it to one."""

    def __init__(
        self,
        ledger: Ledger,
        cancel: Callable[[Key], Awaitable[JobRecord]],
        bulletin: Bulletin,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._cancel = cancel
        self._bulletin = bulletin
        self._clock = clock
        self._knocked = asyncio.Event()
        self._under_way: set[Key] = set()
        self._errands = Errands()

    def knock(self) -> None:
        """Look now."""
        self._knocked.set()

    async def run(self) -> None:
        """Do what is asked of us, until cancelled; nobody asks by way of a file."""
        try:
            while self._ledger.is_shared:
                self._knocked.clear()
                try:
                    await self.look()
                except LedgerClosedError:
                    return
                except LedgerError as error:
                    log.debug("wishes not looked at", why=str(error))  # told of once, for all
                await self._rest()
        finally:
            await self._errands.cancel()

    async def look(self) -> None:
        """Begin what was asked of us since; return without waiting for it. Raises LedgerError."""
        for wished in await self._ledger.read(cancellations.ours):
            if wished.key not in self._under_way:
                await self._follow(wished)

    async def _follow(self, wished: Wished) -> None:
        queue, job_id = wished.key
        match step(wished):
            case Step.STOP:
                self._under_way.add(wished.key)
                self._errands.run(self._stop(wished))
            case Step.HAND_ON:
                ask = partial(cancellations.ask, queue=queue, job_id=job_id)
                await self._ledger.write(partial(ask, now=self._clock.utcnow()))
            case Step.TELL:
                look = partial(chains.kin_of, queue=queue, job_id=job_id)
                kin = await self._ledger.read(look)
                await self._forget(wished)
                log.info("job cancelled that was to run again", job=job_id, queue=queue)
                of, now = msgspec.structs.asdict(kin), self._clock.utcnow()
                self._bulletin.publish(Event("cancelled", now, queue=queue, id=job_id, **of))
            case Step.FORGET:
                await self._forget(wished)

    async def _stop(self, wished: Wished) -> None:
        """Cancel a job; what cannot be done just now is done after the next look."""
        queue, job_id = wished.key
        log.info("another machine was asked to cancel a job", job=job_id, queue=queue)
        try:
            record = await self._cancel(wished.key)
            if record.state is JobState.CANCELLED:
                await self._forget(wished)
        except (ControlError, LedgerError) as refusal:
            log.info("job not cancelled yet", job=job_id, queue=queue, why=str(refusal))
        finally:
            self._under_way.discard(wished.key)

    async def _forget(self, wished: Wished) -> None:
        await self._ledger.write(partial(cancellations.forget, wished=wished))

    async def _rest(self) -> None:
        """Wait until somebody knocks, or for a while."""
        waits = (
            asyncio.ensure_future(self._knocked.wait()),
            asyncio.ensure_future(self._clock.sleep(EVERY)),
        )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
