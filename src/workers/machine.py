"""The machine a worker runs on: while it is at fault, the worker takes nothing new.

A fault is met by a job, or found by the processor's own ``check_host``, which is asked before the
first job, whenever a job has failed, and again and again while there is a fault. Without such a
check the next job is the check. A job that alone meets faults is believed so long and no longer.
"""

import asyncio
import inspect
from collections import OrderedDict
from dataclasses import dataclass

from consumers import logs
from consumers.clock import Clock
from consumers.holds import Gate
from consumers.jobs import Job
from consumers.outcome import Completed, Failed, Failure, Interrupted, Outcome
from workers import recovery
from workers.faults import of_machine
from workers.processor import CheckHost, Host
from workers.recovery import Evidence, Recovery

HOLD = "host"  # the name of the hold
PATIENCE = 30.0  # seconds for a check; network file systems can hang for ever
REMEMBERED = 1000  # jobs that met a fault

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Examination:
    """The processor's check of its machine, if it has one, and what that is given."""

    check: CheckHost | None
    host: Host


class Machine:
    """Knows whether the machine is well; holds its gate while it is not."""

    def __init__(self, examination: Examination, gate: Gate, clock: Clock) -> None:
        self._examination = examination
        self._gate = gate
        self._clock = clock
        self._recovery = Recovery()
        self._is_ill = asyncio.Event()
        self._looking: asyncio.Task[Failure | None] | None = None
        self._met: OrderedDict[str, int] = OrderedDict()  # job -> faults met on a machine all well

    async def begin(self) -> None:
        """Look at the machine before the first job."""
        fault = await self._look()
        if fault is not None:
            await self._fall(fault)

    async def watch(self) -> None:
        """While there is a fault look again and again, until cancelled."""
        while True:
            await self._is_ill.wait()
            await self._clock.sleep(self._recovery.pause)
            fault = await self._look()
            if fault is not None:
                await self._gate.hold(HOLD, _words(fault))
                continue
            self._is_ill.clear()
            log.info("machine is well again")
            await self._gate.release(HOLD)

    async def judge(self, job: Job, outcome: Outcome) -> Outcome:
        """Return an outcome as it is to be settled; a fault of the machine acts at once."""
        match outcome:
            case Completed():
                self._recovery = Recovery()
                self._met.pop(job.id, None)
            # What does not count is a job that was sent away, thousands at a time.
            case Failed(failure=Failure(counts=True), duration=duration):
                fault = await self._look()  # whatever the job said, it may be the machine
                if fault is not None:
                    await self._fall(fault)
                    return Interrupted(fault, duration)
            case Interrupted(failure=failure, duration=duration):
                own = await self._own_failure(job, failure)
                if own is not None:
                    log.warning("not the machine but the job", job=job.id, why=_words(own))
                    return Failed(own, duration)
                await self._fall(failure)
            case _:
                pass
        return outcome

    async def _own_failure(self, job: Job, failure: Failure) -> Failure | None:
        """Return the job's own failure if it, of all, brings the fault about again and again."""
        if await self._look() is not None:
            return None
        has_check = self._examination.check is not None
        evidence = Evidence(
            is_checked=has_check,
            is_held=self._is_ill.is_set(),
            met=self._count(job) if has_check else 0,
            faults=job.faults,
        )
        return recovery.own_failure(failure, evidence)

    def _count(self, job: Job) -> int:
        met = self._met.pop(job.id, 0) + 1
        self._met[job.id] = met
        if len(self._met) > REMEMBERED:
            self._met.popitem(last=False)
        return met

    async def _fall(self, fault: Failure) -> None:
        if not self._is_ill.is_set():
            self._recovery = recovery.fallen(self._recovery)
            self._is_ill.set()
            pause = f"{self._recovery.pause:g} s"
            log.error("machine at fault, taking nothing new", why=_words(fault), next_look=pause)
        await self._gate.hold(HOLD, _words(fault))

    async def _look(self) -> Failure | None:
        """Return what is wrong with the machine, None if nothing is known to be."""
        if self._examination.check is None:
            return None
        # One at a time: a check that hangs keeps its thread.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(_examined(self._examination))
        done, _ = await asyncio.wait({self._looking}, timeout=PATIENCE)
        if not done:
            return Failure(f"the check of the machine had no answer in {PATIENCE:g} s")
        return self._looking.result()


async def _examined(examination: Examination) -> Failure | None:
    """Ask the check, on the loop or in a thread as it is written."""
    check, host = examination.check, examination.host
    if check is None:
        return None
    try:
        if inspect.iscoroutinefunction(check):
            await check(host)
        else:
            answer = await asyncio.to_thread(check, host)
            if inspect.isawaitable(answer):
                await answer
    # A check is anybody's code. One that fails says nothing good about the machine.
    except (Exception, SystemExit) as error:
        fault = of_machine(error)
        if fault is not None:
            return Failure(fault.message, code=fault.code, hint=fault.hint)
        log.exception("check of the machine raised")
        return Failure(f"its check_host raised {type(error).__name__}: {error}")
    return None


def _words(fault: Failure) -> str:
    return f"{fault.message} ({fault.hint})" if fault.hint else fault.message
