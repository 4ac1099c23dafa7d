"""The desk for queues: what it refuses, and how failed jobs are run again in parts."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.desks.queues import RetryOrder
from supervisor.ledger import replays
from supervisor.ports import BadOrderError, UnknownGroupError
from supervisor.queue_desk import QueueDesk
from tests.support.control import FakeControl
from tests.support.ledgers import to_publish
from tests.support.offices import CARD, FIRST, Office, a_claim, a_letter


@pytest.fixture
def desk(office: Office) -> QueueDesk:
    poster = SimpleNamespace(poke=lambda: None)
    intake = SimpleNamespace(is_loading=False)
    hands: Any = SimpleNamespace(ledger=office.ledger, poster=poster, intake=intake)
    return QueueDesk([CARD], {}, hands, FakeControl().status, office.clock)


async def test_a_part_of_the_failed_jobs_runs_after_the_part_before_it(
    office: Office, desk: QueueDesk
) -> None:
    for job in ("a", "b"):
        await office.clerk.claim(FIRST, a_claim(job))
        await office.clerk.buried(a_letter(job), FIRST[0])

    done = await desk.retry_failed("download", RetryOrder(rate=1.0, after=10.0))
    office.clock.advance(9.9)
    before = await to_publish(office.ledger)
    office.clock.advance(0.1)
    first = await to_publish(office.ledger)
    office.clock.advance(1.0)

    assert (done.jobs, done.seconds) == (2, 11.0)
    assert (len(before), len(first), len(await to_publish(office.ledger))) == (0, 1, 2)


async def test_failed_jobs_run_again_at_their_rate_also_after_nobody_was_there(
    office: Office, desk: QueueDesk
) -> None:
    for job in ("a", "b", "c"):
        await office.clerk.claim(FIRST, a_claim(job))
        await office.clerk.buried(a_letter(job), FIRST[0])

    await desk.retry_failed("download", RetryOrder(rate=1.0))
    office.clock.advance(60.0)
    late = await office.ledger.write(partial(replays.resume, now=office.clock.utcnow()))
    (replay,) = await office.ledger.read(partial(replays.newest, limit=9))

    assert (late, len(await to_publish(office.ledger))) == (1, 1)
    assert (replay.what, replay.jobs) == ("pool download, retry-failed", 3)


async def test_a_group_that_there_is_not_is_refused(office: Office, desk: QueueDesk) -> None:
    await office.clerk.claim(FIRST, a_claim("a"))
    await office.clerk.buried(a_letter("a"), FIRST[0])

    with pytest.raises(UnknownGroupError, match="no dead letter is of a group 'nope'"):
        await desk.retry_failed("download", RetryOrder(group="nope"))


async def test_a_reason_that_no_database_stores_is_refused(desk: QueueDesk) -> None:
    with pytest.raises(BadOrderError, match="why: must not contain the character NUL"):
        await desk.pause("download", "because\0")


async def test_the_stats_of_the_house_say_that_the_ledger_is_away_with_its_last_figures(
    office: Office, desk: QueueDesk
) -> None:
    await office.clerk.claim(FIRST, a_claim("a"))
    await office.clerk.buried(a_letter("a"), FIRST[0])
    before = await desk.house()
    office.ledger.silences = 1

    found = await desk.house()

    assert (before.connections.ledger, found.connections.ledger) == (True, False)
    assert found.jobs == before.jobs
    assert found.jobs.failed == 1
    assert (await desk.house()).connections.ledger
