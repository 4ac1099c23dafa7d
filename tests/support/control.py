"""A coordinator that only remembers: the Control port for tests of its doors."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from consumers.chains import steps_of
from consumers.clock import SystemClock
from consumers.errors import MalformedError
from consumers.jobs import priority_named
from consumers.outcome import Failure
from supervisor.bulletin import Bulletin
from supervisor.core.readiness import Condition
from supervisor.core.records import (
    Attempt,
    Branch,
    Chain,
    Family,
    Incident,
    JobFilter,
    JobPage,
    JobRecord,
    JobState,
    Relative,
)
from supervisor.desks.events import EVERYTHING, Listening, Wanted
from supervisor.log_files import LogFiles
from supervisor.logbook import Logbook
from supervisor.ports import (
    BadOrderError,
    BrokerView,
    ControlError,
    Entered,
    Event,
    Health,
    LastRestart,
    NotNowError,
    Order,
    QueueView,
    Status,
    UnknownJobError,
    UnknownPoolError,
    WorkerView,
)
from tests.support.helms import FakeSteering
from tests.support.letters import FakeLetters
from tests.support.pools import FakePools
from tests.support.queue_desks import FakeQueues
from tests.support.timetables import FakeRetries, FakeSchedules

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
QUEUES = {"download": "download_queue", "cutter": "cutter_queue", "preview": "preview_queue"}


class FakeControl:
    """Keeps jobs in a dict; a test moves them on with ``change`` and speaks with ``say``."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.known: dict[str, JobRecord] = {}
        self.away = ""  # why the broker is away
        self.broken: Exception | None = None  # raised by the next status
        self.completes = False  # jobs are done by the second time somebody looks
        self.fails = False
        self.view = example_status()
        self.befell: list[Incident] = []  # the newest first
        self.bulletin = Bulletin()
        self.schedules = FakeSchedules()
        self.retries = FakeRetries()
        self.logs = Logbook(LogFiles(Path("nowhere")), SystemClock(), tuple)  # of nobody
        self.pools = FakePools()
        self.steering = FakeSteering(lambda: self.known)
        self.queues = FakeQueues()
        self.wanted = JobFilter()  # of the last page
        self.letters = FakeLetters()
        self.heard_on: asyncio.AbstractEventLoop | None = None

    async def submit(self, order: Order, *, origin: str = "") -> JobRecord:
        if order.pool not in QUEUES:
            message = f"there is no pool {order.pool}; the pools are {', '.join(QUEUES)}"
            raise UnknownPoolError(message)
        try:
            steps_of({"then": order.then})
        except MalformedError as error:
            raise BadOrderError(error.message) from error
        if self.away:
            raise NotNowError(self.away)
        if order.id in self.known:
            return self.known[order.id]
        self.orders.append(order)
        job = _new(order, order.id or f"job-{len(self.orders)}", origin)
        self.known[job.id] = job
        return job

    async def submit_many(
        self, orders: Sequence[Order], *, origin: str = ""
    ) -> tuple[Entered | ControlError, ...]:
        return tuple([await self._entered(order, origin) for order in orders])

    async def _entered(self, order: Order, origin: str) -> Entered | ControlError:
        known = set(self.known)
        try:
            job = await self.submit(order, origin=origin)
        except NotNowError:
            raise
        except ControlError as error:
            return error
        return Entered(job.id, job.id not in known)

    async def job(self, job_id: str) -> JobRecord:
        if job_id not in self.known:
            message = f"there is no job {job_id} in the ledger"
            raise UnknownJobError(message)
        job = self.known[job_id]
        if self.completes or self.fails:
            self.known[job_id] = _ended(job, failed=self.fails)
        return job

    async def job_at(self, place: Relative) -> JobRecord | None:
        every = self.known.values()
        return next((job for job in every if (job.queue, job.id) == (place.queue, place.id)), None)

    async def jobs(self, wanted: JobFilter) -> tuple[JobRecord, ...]:
        fitting = [
            job
            for job in reversed(self.known.values())
            if wanted.pool in (None, job.pool) and wanted.state in (None, job.state)
            if wanted.root in (None, job.root) and wanted.parent in (None, job.parent)
        ]
        return tuple(fitting[: wanted.limit])

    async def page(self, wanted: JobFilter) -> JobPage:
        self.wanted = wanted
        start = wanted.after or 0
        everything = msgspec.structs.replace(wanted, limit=start + wanted.limit + 1)
        found = (await self.jobs(everything))[start:]
        following = start + wanted.limit if len(found) > wanted.limit else None
        return JobPage(found[: wanted.limit], following)

    async def family(self, job_id: str, *, limit: int) -> Family:
        """Return the job and those that follow it, and nothing that follows these."""
        job = await self.job(job_id)
        own = Relative(job.queue, job.id)
        every = [each for each in self.known.values() if each.parent == own]
        states = Counter(each.state for each in (job, *every))
        shown = tuple(Branch(1, each) for each in every[:limit])
        failed = tuple(each for each in every if each.state is JobState.FAILED)
        is_open = any(not state.is_final for state in states)
        return Family(Chain(states, is_open), shown, len(every) - len(shown), failed)

    async def status(self) -> Status:
        if self.broken is not None:
            raise self.broken
        return self.view

    def conditions(self) -> tuple[Condition, ...]:
        return self.view.conditions

    async def incidents(self, worker: str | None, limit: int) -> tuple[Incident, ...]:
        fitting = [incident for incident in self.befell if worker in (None, incident.worker)]
        return tuple(fitting[:limit])

    def events(self, wanted: Wanted = EVERYTHING, after: str | None = None) -> Listening:
        self.heard_on = asyncio.get_running_loop()
        return self.bulletin.listen(wanted, after=after)

    def say(self, event: Event | None) -> None:
        """Tell everybody who listens, from any thread; ``None`` ends their streams."""
        say = self.bulletin.close if event is None else partial(self.bulletin.publish, event)
        if self.heard_on is None:
            say()
        else:
            self.heard_on.call_soon_threadsafe(say)


def _new(order: Order, job_id: str, origin: str) -> JobRecord:
    try:
        priority = priority_named(order.priority)
    except MalformedError as error:
        raise BadOrderError(str(error)) from error
    return JobRecord(
        id=job_id,
        pool=order.pool,
        queue=QUEUES[order.pool],
        state=JobState.WAITING,
        priority=priority,
        data=order.data,
        sender=str(order.data.get("from", "")),
        noreply=bool(order.data.get("noreply", False)),
        created_at=NOW,
        origin=origin,
    )


def _ended(job: JobRecord, *, failed: bool) -> JobRecord:
    state = JobState.FAILED if failed else JobState.COMPLETED
    fault = "the site says that there is no such video"
    last = Attempt(1, "download-1", NOW, NOW, error=fault if failed else "")
    return msgspec.structs.replace(
        job,
        state=state,
        progress=100.0,
        attempts=1 if failed else 0,
        worker="download-1",
        started_at=NOW,
        finished_at=NOW,
        result=None if failed else {"files": [{"path": "/media/clip.mp4", "size": 1_234_567}]},
        error=Failure(fault, code="not_found", hint="check the link") if failed else None,
        history=(last,),
        lines=("resolved the link", "downloaded 1.2 MB"),
    )


def example_status() -> Status:
    """Return a house with a bit of everything, as a table has to show it."""
    workers = (
        WorkerView(
            id="download-1",
            pool="download",
            state="processing",
            pid=48213,
            restarts=0,
            crash_count=0,
            job="holiday-clip",
            jobs=("holiday-clip",),
            consuming=True,
            memory=184_000_000,
            memory_limit=512_000_000,
            cpu=43.0,
            uptime=7384.0,
        ),
        WorkerView(
            id="download-2",
            pool="download",
            state="crashed",
            pid=None,
            restarts=3,
            crash_count=2,
            job=None,
            memory_limit=512_000_000,
            restart_in=8.4,
            last_restart=LastRestart(
                "crash", "killed by SIGKILL while it ran a job", "SIGKILL", NOW, ("poison",)
            ),
        ),
        WorkerView(
            id="cutter-1",
            pool="cutter",
            state="idle",
            pid=48230,
            restarts=1,
            crash_count=0,
            job=None,
            consuming=True,
            memory=901_000_000,
            memory_limit=1_000_000_000,
            uptime=312.0,
            last_restart=LastRestart("memory", "used 1.1 GB, the limit is 1 GB", "exit 0", NOW),
        ),
        WorkerView(
            id="preview-1",
            pool="preview",
            state="failed",
            pid=None,
            restarts=9,
            crash_count=9,
            crashes_in_a_row=5,
            restart_in=40.0,
            job=None,
            last_restart=LastRestart("crash", "exit code 1 before it was ready", "exit 1", NOW),
        ),
    )
    queues = (
        QueueView("download_queue", "download", 12, 1, 2, 3, 1840),
        QueueView("cutter_queue", "cutter", 0, 0, 0, 0, 77),
        QueueView("preview_queue", "preview", None, 0, 0, 1, 76, paused=True),
    )
    return Status(
        version="0.1.0",
        pid=48200,
        uptime=7390.0,
        state="running",
        broker=BrokerView("amqp://localhost:5672/", connected=True),
        health=Health(4, 2, 1997, 0.998, 3848.0),
        workers=workers,
        queues=queues,
    )
