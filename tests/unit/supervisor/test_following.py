"""What follows a job is written with its result: all of it once, or nothing."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from supervisor.core.records import JobFilter, JobRecord, JobState, Relative
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.insist import insist
from tests.support.clocks import START
from tests.support.offices import (
    CHAINED,
    FIRST,
    PREVIEW,
    Office,
    a_claim,
    a_letter,
    a_result,
    an_error,
    an_office,
    made,
)
from tests.support.sessions import QUEUES
from workers.messages import Progressed, Retrying, Started

ROOT = Relative(QUEUES.public, "j1")
VIEWER = ("preview-1", 1)


@pytest.fixture
async def chained(tmp_path: Path) -> AsyncIterator[Office]:
    async for opened in an_office(tmp_path, *CHAINED):
        yield opened


async def of(office: Office, parent: Relative) -> tuple[JobRecord, ...]:
    """Return the jobs that follow one, the oldest first."""
    return await office.ledger.find(JobFilter(parent=parent, oldest=True))


async def complete(office: Office, *paths: str) -> tuple[JobRecord, ...]:
    """Have the download complete with these files; return what follows."""
    await office.clerk.claim(FIRST, a_claim())
    await office.clerk.completed(a_result(result=made(*paths)))
    return await of(office, ROOT)


async def view(office: Office, job: JobRecord, **changes: object) -> None:
    """Have a preview claimed that follows."""
    body = msgspec.json.encode(job.data)
    claim = a_claim(job.id, body=body, queue=PREVIEW.queues.public, **changes)
    await office.clerk.claim(VIEWER, claim)


async def test_each_file_of_a_result_is_a_job_in_the_same_commit(chained: Office) -> None:
    await chained.clerk.claim(FIRST, a_claim())
    await chained.written()
    before = chained.ledger.commits

    await chained.clerk.completed(a_result(result=made("a.mp4", "b.mp4")))

    assert chained.ledger.commits == before + 1
    following = await of(chained, ROOT)
    assert [job.data for job in following] == [
        {"filePath": "a.mp4", "from": "ana"},
        {"filePath": "b.mp4", "from": "ana"},
    ]
    assert {(job.pool, job.state, job.root) for job in following} == {
        ("preview", JobState.PENDING, ROOT)
    }
    assert (await chained.record()).state is JobState.COMPLETED


async def test_the_poster_is_called_and_nobody_is_told_of_the_result_alone(
    chained: Office,
) -> None:
    await complete(chained, "a.mp4")

    assert chained.pokes == ["post"]
    assert await chained.notices() == ()
    assert chained.told == ["waiting", "completed"]


async def test_a_result_that_nothing_follows_is_told_as_ever(chained: Office) -> None:
    assert await complete(chained) == ()

    (notice,) = await chained.notices()
    assert notice.event == "job.completed"
    assert chained.pokes == ["due"]


async def test_what_is_in_the_body_replaces_what_the_pool_says(chained: Office) -> None:
    body = b'{"link": "http://127.0.0.1/clip", "from": "ana", "then": []}'
    await chained.clerk.claim(FIRST, a_claim(body=body))

    await chained.clerk.completed(a_result(result=made("a.mp4")))

    assert await of(chained, ROOT) == ()
    assert len(await chained.notices()) == 1


async def test_a_result_that_is_not_the_first_has_nothing_follow_and_nobody_told(
    chained: Office,
) -> None:
    following = await complete(chained, "a.mp4")
    await chained.clerk.completed(a_result(result=made("b.mp4", "c.mp4")))

    assert await of(chained, ROOT) == following
    assert chained.pokes == ["post"]
    assert await chained.notices() == ()
    assert chained.told == ["waiting", "completed"]


async def test_a_job_that_was_cancelled_before_its_result_has_nothing_follow(
    chained: Office,
) -> None:
    await chained.clerk.claim(FIRST, a_claim())
    await chained.written()
    await chained.ledger.cancel(QUEUES.public, "j1")

    await chained.clerk.completed(a_result(result=made("a.mp4")))

    assert await of(chained, ROOT) == ()
    assert chained.pokes == []


async def test_a_ledger_in_trouble_is_asked_again_and_what_follows_is_there_once(
    chained: Office,
) -> None:
    await chained.clerk.claim(FIRST, a_claim())
    await chained.written()
    chained.ledger.refusals = 2
    completed = partial(chained.clerk.completed, a_result(result=made("a.mp4", "b.mp4")))

    asking = asyncio.ensure_future(insist(completed, clock=chained.clock))
    while not asking.done():
        await chained.clock.move(5.0)
        await chained.ledger.counts()

    assert asking.result()
    assert len(await of(chained, ROOT)) == 2
    assert chained.pokes == ["post"]


async def test_nothing_follows_a_result_that_was_not_written(chained: Office) -> None:
    await chained.clerk.claim(FIRST, a_claim())
    await chained.written()
    chained.ledger.refusals = 1

    with pytest.raises(LedgerError):
        await chained.clerk.completed(a_result(result=made("a.mp4")))

    assert await of(chained, ROOT) == ()
    assert chained.pokes == []


async def test_a_late_result_of_a_job_in_nobodys_hand_is_followed_too(chained: Office) -> None:
    await chained.clerk.claim(FIRST, a_claim())
    await chained.written()
    await chained.clerk.settlements.released(FIRST)

    await chained.clerk.completed(a_result(result=made("a.mp4")))

    (following,) = await of(chained, ROOT)
    assert (following.parent, following.root) == (ROOT, ROOT)


async def test_a_late_result_is_never_taken_for_that_of_another_queues_job(
    chained: Office,
) -> None:
    await chained.clerk.claim(FIRST, a_claim())
    await chained.written()
    await chained.clerk.settlements.released(FIRST)
    stranger = a_claim("j1", queue=PREVIEW.queues.public, sender="bob", body=b'{"from": "bob"}')
    await chained.clerk.claim(VIEWER, stranger)
    await chained.written()

    await chained.clerk.completed(a_result("j1", result=made("a.mp4")))

    (following,) = await of(chained, ROOT)
    assert following.sender == "ana"
    assert await chained.notices() == ()


async def test_a_result_of_a_job_that_nobody_knows_is_of_no_consequence(chained: Office) -> None:
    await chained.clerk.completed(a_result("ghost", result=made("a.mp4")))

    assert await chained.ledger.find(JobFilter()) == ()
    assert chained.pokes == []


async def test_those_who_follow_are_told_of_by_nobody_but_their_chain(chained: Office) -> None:
    done, dead = await complete(chained, "a.mp4", "b.mp4")

    await view(chained, done)
    result = a_result(done.id, queue_name=PREVIEW.queues.public, worker_id=VIEWER[0])
    await chained.clerk.completed(result)
    await chained.clerk.buried(a_letter(dead.id, queue=PREVIEW.queues.public), VIEWER[0])

    assert await chained.notices() == ()
    assert (await chained.record(done.id)).state is JobState.COMPLETED
    assert (await chained.record(dead.id)).state is JobState.FAILED


async def test_what_follows_what_follows_is_of_the_same_chain(chained: Office) -> None:
    body = b'{"link": "x", "from": "ana", "then": [{"pool": "preview", "then": "preview"}]}'
    await chained.clerk.claim(FIRST, a_claim(body=body))
    await chained.clerk.completed(a_result(result=made("a.mp4")))
    (child,) = await of(chained, ROOT)

    await view(chained, child)
    result = a_result(child.id, queue_name=PREVIEW.queues.public, result=made("a.jpg"))
    await chained.clerk.completed(result)

    (grandchild,) = await of(chained, Relative(child.queue, child.id))
    assert (grandchild.root, grandchild.data) == (ROOT, {"filePath": "a.jpg", "from": "ana"})


async def test_the_silence_a_job_asked_for_is_kept_by_what_follows(chained: Office) -> None:
    await chained.clerk.claim(FIRST, a_claim(noreply=True))
    await chained.clerk.completed(a_result(result=made("a.mp4")))

    (following,) = await of(chained, ROOT)

    assert following.noreply


async def test_why_a_step_found_nothing_is_a_line_of_the_job(chained: Office) -> None:
    await chained.clerk.claim(FIRST, a_claim())
    await chained.clerk.completed(a_result(result={"data": {"items": ["x"]}}))
    await chained.written()

    (line,) = (await chained.record()).lines
    assert line.endswith("the result has no list files; it has data.items")


async def test_what_happens_to_a_job_that_follows_is_told_with_whom_it_follows(
    chained: Office,
) -> None:
    (child,) = await complete(chained, "a.mp4")
    key = queue, job_id = PREVIEW.queues.public, child.id
    await view(chained, child)
    chained.clerk.started(Started(VIEWER[0], START, queue, job_id))
    chained.clerk.progressed(Progressed(queue, job_id, percent=5.0))
    error = an_error(job_id, retry=Retrying(delay=1.0), queue_name=queue, worker_id=VIEWER[0])
    await chained.clerk.failed(error)
    await view(chained, child, seq=1, attempts=1)
    await chained.clerk.blamed(VIEWER[0], [key], "killed")
    await chained.clerk.buried(a_letter(job_id, queue=queue), VIEWER[0])

    told = [event for event in chained.bulletin.events if event.id == child.id]
    assert [event.name for event in told] == ["active", "progress", "retrying", "waiting", "failed"]
    assert {(event.root, event.parent) for event in told} == {("j1", "j1")}
    others = [event for event in chained.bulletin.events if event.id != child.id]
    assert {(event.root, event.parent) for event in others} == {("", "")}


async def test_the_log_says_in_which_worker_a_failed_job_ran(chained: Office) -> None:
    await chained.clerk.claim(FIRST, a_claim())
    await chained.written()
    with capture_logs() as lines:
        await chained.clerk.buried(a_letter(), "download-2")  # who brings the letter ran nothing
        await chained.clerk.buried(a_letter("unseen"), "download-2")

    ran, unseen = (line for line in lines if line["event"] == "job failed")
    assert ran["worker"] == "download-1"
    assert (unseen["pool"], unseen.get("worker")) == ("download", None)
