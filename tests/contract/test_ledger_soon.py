"""What is still to come of a queue although nothing waits in it."""

from datetime import timedelta
from functools import partial

import msgspec

from consumers.outcome import Failure
from supervisor.core.records import JobState
from supervisor.ledger import soon
from supervisor.ledger.soon import ToCome
from supervisor.ledger.store import Ledger
from tests.support.clocks import START
from tests.support.ledgers import QUEUE, claim, enter, new_job

MINUTE = timedelta(seconds=60)


async def to_come(ledger: Ledger) -> ToCome:
    return await ledger.read(
        partial(soon.to_come, queue=QUEUE, since=START - MINUTE, until=START + MINUTE)
    )


async def test_what_is_due_about_now_is_told_from_what_is_delayed_for_longer(
    ledger: Ledger,
) -> None:
    assert await to_come(ledger) == ToCome(delayed=0, soon=0)
    for job_id, delay in (("soon", 50.0), ("late", 3600.0)):
        job = msgspec.structs.replace(new_job(job_id), delay=delay)
        await enter(ledger, job, state=JobState.DELAYED)
    await enter(ledger, new_job("waits"), state=JobState.WAITING)

    assert await to_come(ledger) == ToCome(delayed=2, soon=1)


async def test_a_job_that_was_given_up_and_is_no_dead_letter_yet_is_to_come(
    ledger: Ledger,
) -> None:
    job = claim("dying")
    await ledger.begin(job, job_id="dying", pool="download", worker="download-1", attempt=1)
    await ledger.give_up(QUEUE, "dying", failure=Failure("no"), attempts=1, worker="download-1")

    assert await to_come(ledger) == ToCome(delayed=0, soon=1)
