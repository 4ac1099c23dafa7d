"""The desk: what a consumer tells the coordinator about jobs, and what it is told back.

Nothing is acked before the desk has *noted* what became of it, which means: committed.
"""

from typing import Protocol

import msgspec

from consumers.jobs import Faults, Job, Priority, Properties
from consumers.outcome import Completed, Failure


class Claim(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A delivery that a worker would like to run.

    ``job_id`` is None when the publisher gave none; ``fingerprint`` then recognises a redelivery.
    """

    queue: str  # the pool's public queue, whichever lane it came by
    body: bytes
    properties: Properties
    fingerprint: str
    redelivered: bool = False
    job_id: str | None = None
    sender: str = ""
    noreply: bool = False
    priority: Priority = Priority.NORMAL
    attempts: int = 0
    seq: int = 0
    tag: int = 0  # the embedded queues' number of the delivery, 0 for RabbitMQ
    session: int = 0  # the number of the session that brought it
    name: str = ""  # what kind of job its body says it is
    max_attempts: int | None = None  # as its publisher wants it; None: as its pool has it
    limit_key: str = ""  # on whose account it runs, in a pool that is limited by that


class Run(msgspec.Struct, frozen=True, tag_field="verdict", tag="run", rename="camel"):
    """Run it, as this job, after so many failed attempts; ``alone``, if a worker died of it."""

    job_id: str
    attempts: int = 0
    seq: int = 0
    alone: bool = False
    faults: Faults = Faults()  # of the machine, that it met before


class Later(msgspec.Struct, frozen=True, tag_field="verdict", tag="later", rename="camel"):
    """Publish it as copy ``seq`` that comes back after ``delay`` seconds, ack this one."""

    job_id: str
    delay: float
    seq: int
    attempts: int = 0
    why: str = ""


class Move(msgspec.Struct, frozen=True, tag_field="verdict", tag="move", rename="camel"):
    """Publish it as copy ``seq`` for another pool, into that pool's ``lane``; ack this one."""

    job_id: str
    pool: str
    lane: str
    seq: int
    attempts: int = 0
    why: str = ""


class Drop(msgspec.Struct, frozen=True, tag_field="verdict", tag="drop", rename="camel"):
    """Ack it, do not run it: it is ``settled``, ``stale``, ``cancelled`` or ``removed``."""

    job_id: str
    why: str


class Park(msgspec.Struct, frozen=True, tag_field="verdict", tag="park", rename="camel"):
    """Store it as copy ``seq`` among the jobs in flight, ack it: that very job is running."""

    job_id: str
    seq: int
    attempts: int = 0


class Condemn(msgspec.Struct, frozen=True, tag_field="verdict", tag="dead", rename="camel"):
    """Move it to the dead letters, do not run it."""

    job_id: str
    failure: Failure
    attempts: int = 0


Verdict = Run | Later | Move | Drop | Park | Condemn


class DeadLetter(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A message taken from a dead-letter queue, with what we know about its end."""

    queue: str  # the pool's public queue
    dead_queue: str
    body: bytes
    properties: Properties
    failure: Failure
    job_id: str | None = None
    fingerprint: str = ""
    sender: str = ""
    noreply: bool = False
    attempts: int = 0
    link: str | None = None
    file_path: str | None = None
    tag: int = 0
    name: str = ""  # what kind of job its body says it is
    duration: float = 0.0  # seconds that its last run took; 0 if it had none


class Undertaker(Protocol):
    """The part of the desk that dead letters need."""

    async def buried(self, letter: DeadLetter) -> None:
        """Hand in a dead letter; returns when it and its notice are committed."""


class Desk(Undertaker, Protocol):
    """The coordinator, as one consumer sees it. Waiting methods end with the pipe at the latest."""

    async def claim(self, claim: Claim) -> Verdict:
        """Ask what to do with a delivery."""

    def started(self, job: Job) -> None:
        """Say that the job's processor is about to be called: from here on it can be blamed."""

    async def completed(self, job: Job, outcome: Completed) -> None:
        """Hand in a result; returns when it is committed and the delivery may be acked."""

    async def retrying(self, job: Job, failure: Failure, *, delay: float, duration: float) -> int:
        """Hand in a failed attempt; returns the number of the copy that may now be published."""

    async def giving_up(self, job: Job, failure: Failure, *, duration: float) -> None:
        """Hand in the last failed attempt; returns when the dead letter may be published."""

    async def cancelled(self, job: Job, *, duration: float) -> None:
        """Hand in that the job was stopped by request; returns when it may be acked."""

    async def interrupted(self, job: Job, failure: Failure, *, duration: float) -> None:
        """Hand in that the machine broke the run off; returns when the delivery may go back."""

    async def parking(self, job: Job) -> int:
        """Ask to park a running job; returns the number of the copy to publish, 0 for not now."""

    def parked(self, queue: str, job_id: str, seq: int, *, is_owed: bool) -> None:
        """Say that copy ``seq``, parked or sent after all, is confirmed in the delivery's place.

        The delivery is acked unless that ``is_owed``: then it may come once more.
        """

    async def acking(self, queue: str, job_id: str) -> None:
        """Say that the delivery, of a message without an id, is about to be acked.

        Returns when that is heard even if this process is killed now.
        """

    def settled(
        self,
        queue: str,
        job_id: str,
        *,
        seq: int = 0,
        has_run: bool = False,
        is_nameless: bool = False,
    ) -> None:
        """Say that the delivery is acked, and its copy confirmed: copy ``seq``, if it has a number.

        ``has_run`` says that a run has come to its end with it, ``is_nameless`` that it was a
        message without an id.
        """

    def lost(self, session: int) -> None:
        """Say that a session is over, by its number: what it had brought comes once more.

        Said before anything is claimed that the next one brings.
        """

    def unsettled(
        self, queue: str, job_id: str, *, has_run: bool = False, is_nameless: bool = False
    ) -> None:
        """Say that the delivery was certainly not acked: it comes once more."""
