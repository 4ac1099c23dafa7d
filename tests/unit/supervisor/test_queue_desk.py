"""The desk for queues: what it refuses, and how failed jobs are run again in parts."""

from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.desks.queues import RetryOrder
from supervisor.ports import BadOrderError
from supervisor.queue_desk import QueueDesk
from tests.support.ledgers import to_publish
from tests.support.offices import CARD, FIRST, Office, a_claim, a_letter


@pytest.fixture
def desk(office: Office) -> QueueDesk:
    poster = SimpleNamespace(poke=lambda: None)
    hands: Any = SimpleNamespace(ledger=office.ledger, poster=poster)
    nobody: Any = None
    return QueueDesk([CARD], {}, hands, nobody, office.clock)


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


async def test_a_reason_that_no_database_stores_is_refused(desk: QueueDesk) -> None:
    with pytest.raises(BadOrderError, match="why: must not contain the character NUL"):
        await desk.pause("download", "because\0")
