"""A desk that grants what the test wants, writes a diary, and notes nothing before it may."""

import asyncio
import itertools

from consumers.desk import Claim, DeadLetter, Run, Verdict
from consumers.jobs import Job
from consumers.outcome import Completed, Failure


class FakeDesk:
    """Implements the desk. Clear ``open`` and nothing more is judged or noted until it is set."""

    def __init__(self, diary: list[str] | None = None) -> None:
        self.diary = [] if diary is None else diary
        self.verdict: Verdict | None = None  # None: every claim may run
        self.claims: list[Claim] = []
        self.letters: list[DeadLetter] = []
        self.numbers = itertools.count(1)  # of copies
        self.retries: list[float] = []  # delays
        self.failures: list[Failure] = []
        self.lost_sessions: list[int] = []
        self.settlements: list[tuple[str, int, bool]] = []  # job, copy, whether it had run
        self.announced: list[str] = []  # jobs whose ack was said to be next
        self.announcing = asyncio.Event()  # cleared: that is not heard yet
        self.announcing.set()
        self.parks = True  # whether the coordinator keeps jobs in flight
        self.open = asyncio.Event()
        self.open.set()

    async def claim(self, claim: Claim) -> Verdict:
        self.claims.append(claim)
        job_id = claim.job_id or f"new-{len(self.claims)}"
        await self.open.wait()
        return self.verdict or Run(job_id, attempts=claim.attempts, seq=claim.seq)

    def started(self, job: Job) -> None:
        self.diary.append("started")

    async def completed(self, job: Job, outcome: Completed) -> None:
        await self._note("completed")

    async def retrying(self, job: Job, failure: Failure, *, delay: float, duration: float) -> int:
        self.retries.append(delay)
        self.failures.append(failure)
        await self._note("retrying")
        return next(self.numbers)

    async def giving_up(self, job: Job, failure: Failure, *, duration: float) -> None:
        self.failures.append(failure)
        await self._note("giving up")

    async def cancelled(self, job: Job, *, duration: float) -> None:
        await self._note("cancelled")

    async def interrupted(self, job: Job, failure: Failure, *, duration: float) -> None:
        self.failures.append(failure)
        await self._note("interrupted")

    async def buried(self, letter: DeadLetter) -> None:
        self.letters.append(letter)
        await self._note("buried")

    async def parking(self, job: Job) -> int:
        await self._note("parking")
        return next(self.numbers) if self.parks else 0

    def parked(self, queue: str, job_id: str, seq: int, *, is_owed: bool) -> None:
        self.diary.append(f"parked {seq}{', ack owed' if is_owed else ''}")

    async def acking(self, queue: str, job_id: str) -> None:
        await self.announcing.wait()
        self.announced.append(job_id)

    def settled(
        self,
        queue: str,
        job_id: str,
        *,
        seq: int = 0,
        has_run: bool = False,
        is_nameless: bool = False,
    ) -> None:
        self.diary.append("settled")
        self.settlements.append((job_id, seq, has_run))

    def lost(self, session: int) -> None:
        self.lost_sessions.append(session)

    def unsettled(
        self, queue: str, job_id: str, *, has_run: bool = False, is_nameless: bool = False
    ) -> None:
        self.diary.append("unsettled")

    async def _note(self, what: str) -> None:
        await self.open.wait()
        self.diary.append(f"noted {what}")
