"""The client for programs without an event loop: every call returns when it is answered.

``awaiting.py`` is the same with ``await``; a test compares the two.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, Unpack

from supervisor_client import calls, orders, shapes
from supervisor_client.amqp import Postbox
from supervisor_client.calls import Call
from supervisor_client.errors import ClientError, JobFailedError, NotOverAmqpError
from supervisor_client.letters import letter
from supervisor_client.lines import Line, Manners
from supervisor_client.patience import Seen, is_passing, out_of_patience, until_next_look
from supervisor_client.places import AmqpPlace, place_of

T = TypeVar("T")

TIMEOUT = 30.0  # seconds for one answer
TRIES = 4  # of a request whose answer is lost
PATIENCE = 60.0  # seconds to wait for a job, unless told otherwise


class Client:
    """A supervisor, or (for publishing alone) the broker that it consumes.

    Args:
        url: ``http(s)://host:port``, the path of a control socket, or ``amqp(s)://...``.
        token: what opens an HTTP address.
        timeout: seconds for one answer.
        tries: how often a request is made when the connection is lost, if it may be repeated.
        api: with an AMQP url, the HTTP address or socket that answers everything else.

    May be used by several threads. Raises ClientError, and its kinds, from every method.
    """

    def __init__(
        self,
        url: str | Path,
        *,
        token: str = "",
        timeout: float = TIMEOUT,
        tries: int = TRIES,
        api: str | Path = "",
    ) -> None:
        place = place_of(url)
        self._post: Postbox | None = None
        if isinstance(place, AmqpPlace):
            self._post = Postbox(place, timeout=timeout, tries=tries)
        asked = place_of(api) if api else place
        manners = Manners(token, timeout, tries)
        self._line = None if isinstance(asked, AmqpPlace) else Line(asked, manners)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; may be called twice."""
        if self._line is not None:
            self._line.close()
        if self._post is not None:
            self._post.close()

    def publish(self, pool: str, data: orders.Data, **wanted: Unpack[orders.Options]) -> "Job":
        """Hand in a job; it is on the disk when this returns. Over AMQP ``pool`` is the queue.

        The same ``id`` again is the same job, so it is sent again when the answer is lost.
        """
        order = orders.order(pool, data, wanted)
        if self._post is None:
            return Job(self, self.ask(calls.publish(order)).id)
        self._post.post(letter(order, now=datetime.now(UTC)))  # noqa: TID251 - here is the edge
        return Job(self, order.id, may_be_unknown=True)

    add_job = publish

    def job(self, job_id: str) -> "Job":
        """Return a job by its id; nobody is asked yet."""
        return Job(self, job_id)

    def jobs(self, **wanted: Unpack[orders.Filter]) -> Iterator[shapes.JobRecord]:
        """Yield the jobs that fit, the newest first, without their histories."""
        query = orders.query(wanted)
        while True:
            page = self.ask(calls.jobs(query))
            yield from page.jobs
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    def queue(self, pool: str) -> "Queue":
        """Return the queue of a pool; nobody is asked yet."""
        return Queue(self, pool)

    def schedule(self, name: str) -> "Schedule":
        """Return a schedule by its name, whether it is there or not."""
        return Schedule(self, name)

    def schedules(self) -> tuple[shapes.ScheduleRecord, ...]:
        """Return all schedules."""
        return self.ask(calls.schedules())

    def events(
        self,
        *,
        names: Iterable[str] = (),
        queues: Iterable[str] = (),
        jobs: Iterable[str] = (),
        roots: Iterable[str] = (),
        after: str = "",
    ) -> AbstractContextManager[Iterator[shapes.Event]]:
        """Hear what happens from the moment the block is entered.

        Nothing named is everything; ``roots`` are jobs of whose chains everything is told;
        ``after`` is the key of an event to go on from.
        """
        return self._asked().follow(calls.events(names, queues, jobs, roots), after)

    def worker_stats(self, worker: str) -> shapes.WorkerStats:
        """Return how busy a worker (``download-1``) is."""
        return self.ask(calls.worker_stats(worker))

    def health(self) -> shapes.Health:
        """Return the house in five numbers."""
        return self.ask(calls.health())

    def ask(self, call: Call[T]) -> T:
        """Ask what has no method here: ``Call("GET", "/api/stats", dict)``."""
        return self._asked().ask(call)

    def _asked(self) -> Line:
        if self._line is None:
            raise NotOverAmqpError
        return self._line


class Job:
    """A job by its id."""

    def __init__(self, client: Client, job_id: str, *, may_be_unknown: bool = False) -> None:
        self.id = job_id
        self._client = client
        self._may_be_unknown = may_be_unknown

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # new in Python 3.12
        return f"<Job {self.id}>"

    def status(self) -> shapes.JobStatus:
        """Return how it stands in few words, and its place while it waits."""
        return self._client.ask(calls.status(self.id))

    def show(self) -> shapes.JobRecord:
        """Return all that is known of it."""
        return self._client.ask(calls.job(self.id))

    def children(self) -> Iterator[shapes.JobRecord]:
        """Yield the jobs that followed it, the oldest first, without their histories."""
        query: dict[str, Any] = {}
        while True:
            page = self._client.ask(calls.children(self.id, query))
            yield from page.jobs
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    def wait(self, within: orders.Span = PATIENCE, *, chain: bool = False) -> shapes.JobRecord:
        """Return the job once it is over, however it ended.

        With ``chain`` once all that came of it is over too. A supervisor that is away for a while
        is waited for.

        Raises:
            StillRunningError: it is not over after ``within`` seconds.
            ChainFailedError: with ``chain``, that not all of it is completed, and why.
        """
        patience = orders.seconds(within, "within")
        until, looked = time.monotonic() + patience, 0
        while True:
            seen, trouble = self._look(chain=chain)
            if seen is not None and seen.is_over:
                return seen.outcome()
            left = until - time.monotonic()
            if left <= 0:
                raise out_of_patience(self.id, patience, seen, trouble) from trouble
            time.sleep(min(left, until_next_look(looked)))
            looked += 1

    def result(self, within: orders.Span = PATIENCE) -> dict[str, Any]:
        """Return what its processor returned, once it is over.

        Raises:
            JobFailedError: it failed, or was cancelled or removed.
            StillRunningError: it is not over after ``within`` seconds.
        """
        job = self.wait(within)
        if job.state != "completed":
            raise JobFailedError(job)
        return dict(job.returned)

    def retry(self) -> shapes.JobRecord:
        """Run it again, if it failed or was cancelled."""
        return self._client.ask(calls.steer(self.id, "retry"))

    def cancel(self) -> shapes.JobRecord:
        """Have it not run, or stop its run."""
        return self._client.ask(calls.steer(self.id, "cancel"))

    def promote(self) -> shapes.JobRecord:
        """Run it now, if it is delayed."""
        return self._client.ask(calls.steer(self.id, "promote"))

    def prioritize(self, priority: str | int) -> shapes.JobRecord:
        """Have it be more urgent, or less, while it waits."""
        return self._client.ask(calls.prioritize(self.id, priority))

    def remove(self) -> shapes.JobRecord:
        """Have it not run, and forget it; or forget it when it is over."""
        return self._client.ask(calls.remove(self.id))

    def _look(self, *, chain: bool) -> tuple[Seen | None, ClientError | None]:
        try:
            job = self.show()
            if not chain or not job.is_over:
                return Seen(job), None
            family = self._client.ask(calls.family(self.id, 1))
            return Seen(job, family), None
        except ClientError as error:
            if is_passing(error, may_be_unknown=self._may_be_unknown):
                return None, error
            raise


class Queue:
    """The queue of a pool."""

    def __init__(self, client: Client, pool: str) -> None:
        self.pool = pool
        self._client = client

    def show(self) -> shapes.QueueRecord:
        """Return all there is to say of it."""
        return self._client.ask(calls.queue(self.pool))

    def stats(self) -> shapes.QueueStats:
        """Return what it holds."""
        return self._client.ask(calls.stats(self.pool))

    def metrics(self) -> shapes.QueueMetrics:
        """Return what it holds, with its name."""
        return self._client.ask(calls.metrics(self.pool))

    def pause(self, why: str = "") -> shapes.Pause:
        """Take nothing new from it, until it is resumed."""
        return self._client.ask(calls.pause(self.pool, why))

    def resume(self) -> shapes.Pause:
        """Consume it again."""
        return self._client.ask(calls.resume(self.pool))

    def drain(self, *, delayed: bool = False) -> shapes.Drained:
        """Remove what waits, and with ``delayed`` what is to run later."""
        return self._client.ask(calls.drain(self.pool, delayed=delayed))

    def clean(
        self, state: str = "completed", *, older: orders.Span = 86_400.0, limit: int = 1_000
    ) -> shapes.Cleaned:
        """Remove for good what ended so, longer ago than that; at most so many, the oldest."""
        return self._client.ask(calls.clean(self.pool, state, older, limit))

    def retry_failed(self, **wanted: Unpack[orders.RetryOptions]) -> shapes.Retried:
        """Have failed jobs run again, with a clean count of attempts."""
        return self._client.ask(calls.retry_failed(self.pool, wanted))


class Schedule:
    """A schedule by its name."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._client = client

    def set(
        self, pool: str, data: orders.Data, **wanted: Unpack[orders.ScheduleOptions]
    ) -> shapes.ScheduleRecord:
        """Have it be so, whether it was there or not: one of ``cron`` and ``every``."""
        return self._client.ask(calls.put_schedule(self.name, pool, data, wanted))

    def show(self) -> shapes.ScheduleRecord:
        """Return it, with its next moments."""
        return self._client.ask(calls.show_schedule(self.name))

    def pause(self) -> shapes.ScheduleRecord:
        """Have it not run; what passes meanwhile is not missed."""
        return self._client.ask(calls.hold_schedule(self.name, "pause"))

    def resume(self) -> shapes.ScheduleRecord:
        """Have it run again, from its next moment on."""
        return self._client.ask(calls.hold_schedule(self.name, "resume"))

    def run(self) -> Job:
        """Enter one job of it now; its next moment stays."""
        return Job(self._client, self._client.ask(calls.run_schedule(self.name)).id)

    def remove(self) -> None:
        """Forget it; the jobs it entered stay."""
        self._client.ask(calls.remove_schedule(self.name))
