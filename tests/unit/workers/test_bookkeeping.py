"""What a worker says about itself."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from consumers.errors import UnreachableError
from consumers.jobs import Job
from consumers.outcome import Completed, Failed, Failure
from consumers.retry import ReconnectPolicy
from tests.support.clocks import FakeClock, settle
from tests.support.outboxes import FakeOutbox
from tests.support.specs import a_spec
from workers import messages
from workers.bookkeeping import Bookkeeping

JOB = Job("j1", "download_queue", {})
AWAY = UnreachableError("connection refused")


@dataclass
class Desk:
    """The books of one worker and what they sent."""

    books: Bookkeeping
    outbox: FakeOutbox
    clock: FakeClock
    tasks: list["asyncio.Task[None]"]

    @property
    def beats(self) -> list[messages.Heartbeat]:
        return self.outbox.of(messages.Heartbeat)

    @property
    def metrics(self) -> messages.Metrics:
        return self.outbox.of(messages.MetricsReport)[-1].metrics


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    clock, outbox = FakeClock(), FakeOutbox()
    spec = a_spec(reconnect=ReconnectPolicy(give_up=3), heartbeat=5.0)
    made = Desk(Bookkeeping(spec, outbox, clock), outbox, clock, [])
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_a_worker_beats_at_its_interval(desk: Desk) -> None:
    desk.books.running = lambda: 2
    desk.tasks.append(asyncio.ensure_future(desk.books.beat()))

    for _ in range(3):
        await desk.clock.move(5.0)

    assert [beat.jobs for beat in desk.beats] == [2, 2, 2, 2]


async def test_a_beat_says_whether_jobs_can_come_and_if_not_why(desk: Desk) -> None:
    desk.books.opened("RabbitMQ 4.0")
    desk.books.troubled(AWAY, 1, 0.5)

    first, second = desk.beats
    assert (first.consuming, first.broker) == (True, "")
    assert (second.consuming, second.broker) == (False, "connection refused")


async def test_during_an_alarm_a_worker_consumes_and_says_what_ails_it(desk: Desk) -> None:
    desk.books.opened("RabbitMQ 4.0")
    desk.books.alarmed(UnreachableError("the broker has an alarm", hint="free memory"))
    desk.books.alarmed(None)

    _, during, after = desk.beats
    assert (during.consuming, during.broker) == (True, "the broker has an alarm (free memory)")
    assert (after.consuming, after.broker) == (True, "")


async def test_a_worker_asks_to_be_replaced_each_time_its_patience_is_over(desk: Desk) -> None:
    for failed in range(1, 8):
        desk.books.troubled(AWAY, failed, 0.5)

    asked = desk.outbox.of(messages.JobError)
    assert [error.restart_required for error in asked] == [True, True]  # at 3 and at 6
    assert asked[0].error == "Unable to reconnect to RabbitMQ"


async def test_metrics_count_runs_and_the_time_they_took(desk: Desk) -> None:
    desk.books.count(Completed({}, 2.0))
    desk.books.count(Failed(Failure("broken"), 4.0))
    desk.books.staying_letters = lambda: 4
    desk.clock.now += 60.0
    desk.tasks.append(asyncio.ensure_future(desk.books.report()))
    await settle()

    said = desk.metrics
    assert said.staying_letters == 4
    assert (said.jobs_processed, said.jobs_successful, said.jobs_failed) == (2, 1, 1)
    assert (said.average_processing_time, said.uptime) == (3.0, 60.0)
    assert said.memory_usage > 1_000_000
    assert said.last_activity is not None


async def test_metrics_follow_a_change_but_not_more_than_once_a_second(desk: Desk) -> None:
    desk.tasks.append(asyncio.ensure_future(desk.books.report()))
    await settle()
    assert desk.metrics.jobs_processed == 0

    for _ in range(5):
        desk.books.count(Completed({}, 1.0))
    await settle()
    assert desk.metrics.jobs_processed == 0
    await desk.clock.move(1.0)

    assert desk.metrics.jobs_processed == 5
    assert len(desk.outbox.of(messages.MetricsReport)) == 2


async def test_what_does_not_fit_the_pipe_is_refused_counted_and_told(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.outbox.limit = 1000
    desk.books.said(JOB, "x" * 1000)
    desk.books.progressed(JOB, 50.0, "x" * 1000)
    desk.books.said(JOB, "short")
    desk.tasks.append(asyncio.ensure_future(desk.books.report()))
    await settle()

    assert [told.line for told in desk.outbox.of(messages.Progressed)] == ["short"]
    assert desk.metrics.refused_frames == 2
    said = "".join(capsys.readouterr())
    assert said.count("message refused, the job goes on") == 2
    assert "put large data in a file" in said


async def test_a_worker_that_did_nothing_has_no_average(desk: Desk) -> None:
    desk.tasks.append(asyncio.ensure_future(desk.books.report()))
    await settle()

    assert desk.metrics.average_processing_time == 0.0
    assert desk.metrics.last_activity is None


async def test_the_first_and_the_last_word(desk: Desk) -> None:
    desk.books.ready()
    desk.books.stopped("drained")

    ready, stopped = desk.outbox.sent
    assert isinstance(ready, messages.Ready)
    assert isinstance(stopped, messages.Stopped)
    assert (ready.worker_id, ready.incarnation, stopped.reason) == ("download-1", 1, "drained")


async def test_progress_may_be_replaced_by_newer_progress_and_lines_may_not(desk: Desk) -> None:
    desk.books.progressed(JOB, 50.0, "half way")
    desk.books.said(JOB, "looked it up")

    assert set(desk.outbox.latest) == {"progress j1"}
    assert [one.line for one in desk.outbox.of(messages.Progressed)] == ["", "looked it up"]
