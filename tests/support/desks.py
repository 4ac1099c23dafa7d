"""A desk that grants what the test wants, writes a diary, and notes nothing before it may."""

import asyncio

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
        self.retries: list[tuple[float, int]] = []  # delay and copy number
        self.failures: list[Failure] = []
        self.open = asyncio.Event()
        self.open.set()

    async def claim(self, claim: Claim) -> Verdict:
        self.claims.append(claim)
        await self.open.wait()
        job_id = claim.job_id or f"new-{len(self.claims)}"
        return self.verdict or Run(job_id, attempts=claim.attempts, seq=claim.seq)

    def started(self, job: Job) -> None:
        self.diary.append("started")

    async def completed(self, job: Job, outcome: Completed) -> None:
        await self._note("completed")

    async def retrying(
        self, job: Job, failure: Failure, *, delay: float, seq: int, duration: float
    ) -> None:
        self.retries.append((delay, seq))
        self.failures.append(failure)
        await self._note("retrying")

    async def giving_up(self, job: Job, failure: Failure, *, duration: float) -> None:
        self.failures.append(failure)
        await self._note("giving up")

    async def cancelled(self, job: Job, *, duration: float) -> None:
        await self._note("cancelled")

    async def buried(self, letter: DeadLetter) -> None:
        self.letters.append(letter)
        await self._note("buried")

    def settled(self, job_id: str) -> None:
        self.diary.append("settled")

    async def _note(self, what: str) -> None:
        await self.open.wait()
        self.diary.append(f"noted {what}")
