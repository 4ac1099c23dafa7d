"""What a worker says about itself: ready, beats, metrics, progress, trouble with the broker."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from consumers import logs
from consumers.clock import Clock
from consumers.errors import BrokerError
from consumers.holds import Holds
from consumers.jobs import Job
from consumers.outcome import Completed, Interrupted, Outcome
from workers import messages, usage
from workers.messages import FromWorker
from workers.pipe import FrameTooLargeError
from workers.spec import WorkerSpec

CHANGE_THINNING = 1.0  # seconds between two metrics messages sent because a job ended

log = logs.get(__name__)


class Outbox(Protocol):
    """The sending side of the pipe."""

    @property
    def refused_frames(self) -> int:
        """How many messages were too large to be sent."""

    def send(self, message: FromWorker) -> None:
        """Queue a message; it is never dropped while the pipe lives."""

    def send_latest(self, kind: str, message: FromWorker) -> None:
        """Queue a message; when the coordinator is slow only the newest of its kind is kept."""


class Bookkeeping:
    """Counts, beats and reports for one worker; watches its sessions."""

    def __init__(self, spec: WorkerSpec, pipe: Outbox, clock: Clock) -> None:
        self._spec = spec
        self._pipe = pipe
        self._clock = clock
        self._born = clock.monotonic()
        self._successful = 0
        self._failed = 0
        self._worked = 0.0  # seconds in processors
        self._last_activity: datetime | None = None
        self._changed = asyncio.Event()
        self._consuming = False
        self._trouble = messages.CONNECTING
        self._holds = Holds()
        self.running: Callable[[], int] = lambda: 0
        self.staying_letters: Callable[[], int] = lambda: 0

    def ready(self) -> None:
        """Say that the processor is loaded and consuming is about to begin."""
        spec = self._spec
        self._pipe.send(
            messages.Ready(
                worker_id=spec.worker_id,
                timestamp=self._clock.utcnow(),
                pid=os.getpid(),
                incarnation=spec.incarnation,
            )
        )

    def observe(self, holds: Holds) -> None:
        """Report these holds with every beat, and at once when they change."""
        self._holds = holds
        holds.changed = self._beat

    def stopped(self, reason: str) -> None:
        """Say the last word."""
        self._pipe.send(
            messages.Stopped(
                worker_id=self._spec.worker_id,
                timestamp=self._clock.utcnow(),
                reason=_shown(reason),
            )
        )

    # --- the sessions' watcher --------------------------------------------------------------

    def opened(self, peer: str) -> None:  # noqa: ARG002 - the coordinator knows its own peer
        """Note that jobs can come."""
        self._consuming, self._trouble = True, ""
        self._beat()

    def troubled(self, error: BrokerError, failed: int, delay: float) -> None:  # noqa: ARG002
        """Note that none can; ask for a replacement after too many failures in a row."""
        self._consuming, self._trouble = False, error.advised
        self._beat()
        if failed % self._spec.reconnect.give_up == 0:
            self._pipe.send(
                messages.JobError(
                    worker_id=self._spec.worker_id,
                    timestamp=self._clock.utcnow(),
                    error="Unable to reconnect to RabbitMQ",
                    restart_required=True,
                )
            )

    def alarmed(self, alarm: BrokerError | None) -> None:
        """Note that the broker takes no publish for now, or does again; jobs come all the same."""
        self._trouble = "" if alarm is None else alarm.advised
        self._beat()

    # --- beats and metrics ------------------------------------------------------------------

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            self._beat()
            await self._clock.sleep(self._spec.heartbeat)

    async def report(self) -> None:
        """Send metrics every minute, and soon after a change."""
        while True:
            self._send_metrics()
            try:
                async with asyncio.timeout(self._spec.metrics):
                    await self._changed.wait()
                await self._clock.sleep(CHANGE_THINNING)
            except TimeoutError:
                pass
            self._changed.clear()

    def _beat(self) -> None:
        self._pipe.send_latest(
            "heartbeat",
            messages.Heartbeat(
                worker_id=self._spec.worker_id,
                timestamp=self._clock.utcnow(),
                jobs=self.running(),
                consuming=self._consuming,
                broker=self._trouble,
                holds=self._holds.reasons,
            ),
        )

    def _send_metrics(self) -> None:
        processed = self._successful + self._failed
        metrics = messages.Metrics(
            jobs_processed=processed,
            jobs_successful=self._successful,
            jobs_failed=self._failed,
            average_processing_time=self._worked / processed if processed else 0.0,
            memory_usage=usage.own_memory(),
            uptime=self._clock.monotonic() - self._born,
            last_activity=self._last_activity,
            refused_frames=self._pipe.refused_frames,
            staying_letters=self.staying_letters(),
        )
        self._pipe.send_latest(
            "metrics",
            messages.MetricsReport(
                worker_id=self._spec.worker_id, timestamp=self._clock.utcnow(), metrics=metrics
            ),
        )

    # --- jobs -------------------------------------------------------------------------------

    def progressed(self, job: Job, percent: float, note: str) -> None:
        """Pass on how far a job is."""
        told = messages.Progressed(
            queue_name=job.queue, job_id=job.id, percent=percent, note=_shown(note)
        )
        try:
            self._pipe.send_latest(f"progress {job.id}", told)
        except FrameTooLargeError as error:
            self._refused(job, error)

    def said(self, job: Job, line: str) -> None:
        """Pass on a line that a job logged."""
        try:
            self._pipe.send(
                messages.Progressed(queue_name=job.queue, job_id=job.id, line=_shown(line))
            )
        except FrameTooLargeError as error:
            self._refused(job, error)

    def _refused(self, job: Job, error: FrameTooLargeError) -> None:
        """Say that something of a job was not passed on; the job itself goes on."""
        count = self._pipe.refused_frames
        log.warning("message refused, the job goes on", job=job.id, why=str(error), so_far=count)
        self._changed.set()

    def count(self, outcome: Outcome) -> None:
        """Count one run of a processor; one that the machine broke off is none."""
        if isinstance(outcome, Interrupted):
            return
        is_success = isinstance(outcome, Completed)
        self._successful += is_success
        self._failed += not is_success
        self._worked += outcome.duration
        self._last_activity = self._clock.utcnow()
        self._changed.set()


def _shown(text: str) -> str:
    """Return a text without passwords: it goes into the ledger and to people."""
    return str(logs.mask(text))
