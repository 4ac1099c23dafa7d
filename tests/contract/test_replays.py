"""Dead letters that are sent again: at their rate, counted, and taken back as they were."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import insert, select, text, update

from consumers.desk import Drop, Run
from supervisor.core.claims import judge
from supervisor.core.records import JobState
from supervisor.ledger import letters, replays, retention, withdrawals
from supervisor.ledger.queues import Queues
from supervisor.ledger.replays import Heading, Turn
from supervisor.ledger.retention import Expired
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.tables.queues import embedded_messages
from supervisor.ledger.tables.requests import replayed
from tests.support.clocks import FakeClock
from tests.support.failed_jobs import CARD, POOL, bury, fail_after_a_run, replay, row, told, undo
from tests.support.ledgers import BODY, NODE, QUEUE, claim, to_publish


async def test_dead_letters_are_sent_again_at_their_rate_and_counted(
    ledger: Ledger, clock: FakeClock
) -> None:
    for job_id in ("a", "b", "c"):
        await bury(ledger, job_id)

    number, done = await replay(ledger, "a", "b", "c", "unknown", rate=0.5)
    first = [posting.id for posting in await to_publish(ledger)]
    await clock.move(2.5)
    later = [posting.id for posting in await to_publish(ledger)]
    same, more = await ledger.write(
        partial(replays.enter, heading=Heading("", 0.5, number), turns=(), now=clock.utcnow())
    )

    assert (done, same, more) == (3, number, 0)
    assert (first, later) == (["a"], ["a", "b"])
    assert (await told(ledger, number)).jobs == 3
    assert (await told(ledger, number)).states == {"pending": 3}
    assert (await replay(ledger, "a"))[1] == 0


@pytest.mark.parametrize("is_edited", [False, True])
async def test_what_is_taken_back_is_as_it_was(ledger: Ledger, *, is_edited: bool) -> None:
    await ledger.begin(claim("a"), job_id="a", pool=POOL, worker="w-1", attempt=1)
    await ledger.crash(QUEUE, ["a"], worker="w-1", exit="SIGKILL")
    await fail_after_a_run(ledger, "a")
    before = await row(ledger, "a")
    now = ledger.clock.utcnow()
    body = b'{"type": "other", "from": "bo"}' if is_edited else None
    turn, heading = Turn(QUEUE, "a", now + timedelta(seconds=60)), Heading("a", body=body)
    number, _ = await ledger.write(partial(replays.enter, heading=heading, turns=[turn], now=now))
    during = await row(ledger, "a")

    assert (during["state"], during["attempts"], during["error"]) == ("pending", 0, None)
    assert (during["name"], during["sender"]) == (("other", "bo") if is_edited else ("", "user123"))
    assert await undo(ledger, number) == 1
    after = await row(ledger, "a")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"seq", "life"}
    assert await to_publish(ledger) == ()
    assert await undo(ledger, number) == 0
    assert (await told(ledger, number)).undone_at == now


async def test_a_copy_that_was_being_published_while_it_was_taken_back_is_dropped(
    ledger: Ledger,
) -> None:
    await bury(ledger, "a")
    number, _ = await replay(ledger, "a")
    (posting,) = await to_publish(ledger)

    assert await undo(ledger, number) == 1
    known = await ledger.known(QUEUE, "a")
    verdict = judge(claim("a", seq=posting.seq), known, running_on=None, pool=CARD, new_id="new")
    erased = partial(withdrawals.erase, queue=QUEUE, job_id="a", now=ledger.clock.utcnow())

    assert verdict == Drop("a", "settled")
    assert await ledger.write(erased)
    assert (await row(ledger, "a"))["state"] == "removed"  # the copy may still come


async def test_what_has_begun_is_not_taken_back(ledger: Ledger) -> None:
    for job_id in ("a", "b"):
        await bury(ledger, job_id)
    number, _ = await replay(ledger, "a", "b", rate=0.1)
    (posting,) = await to_publish(ledger)
    known = await ledger.known(QUEUE, "a")
    verdict = judge(claim("a", seq=posting.seq), known, running_on=None, pool=CARD, new_id="new")
    assert isinstance(verdict, Run)
    await ledger.begin(claim("a", seq=posting.seq), job_id="a", pool=POOL, worker="w-1", attempt=1)

    assert await undo(ledger, number) == 1
    assert {job_id: (await row(ledger, job_id))["state"] for job_id in ("a", "b")} == {
        "a": "active",
        "b": "failed",
    }


async def test_an_older_replay_takes_nothing_back_of_a_newer_one(ledger: Ledger) -> None:
    await bury(ledger, "a")
    first, _ = await replay(ledger, "a", rate=1.0)
    await undo(ledger, first)
    second, _ = await replay(ledger, "a")

    assert await undo(ledger, first) == 0
    assert (await row(ledger, "a"))["state"] == "pending"
    assert await undo(ledger, second) == 1


async def test_another_machine_takes_nothing_back_that_may_be_published_just_now(
    ledger: Ledger, ledger_url: str, clock: FakeClock
) -> None:
    if not ledger.is_shared:
        pytest.skip("a file has one coordinator")
    for job_id in ("a", "b"):
        await bury(ledger, job_id)
    number, _ = await replay(ledger, "a", "b", rate=0.1)
    other = await Ledger.open(ledger_url, clock=clock, node=f"{NODE}-2")

    assert await undo(other, number) == 1
    await other.close()
    assert (await row(ledger, "a"))["state"] == "pending"
    assert (await row(ledger, "b"))["state"] == "failed"


async def test_the_first_body_is_kept_however_often_it_is_edited(ledger: Ledger) -> None:
    await bury(ledger, "a")
    first, _ = await replay(ledger, "a", body=b'{"edited": 1}')
    (posting,) = await to_publish(ledger)
    await fail_after_a_run(ledger, "a", seq=posting.seq)
    await ledger.write(
        lambda connection: connection.execute(update(jobs).values(body=b'{"edited": 1}'))
    )
    second, _ = await replay(ledger, "a", body=b'{"edited": 2}')
    whole = partial(letters.whole, queue=QUEUE, job_id="a")

    assert (await ledger.read(whole)).original == BODY
    await undo(ledger, second)
    after = await ledger.read(whole)
    assert (after.body, after.original) == (b'{"edited": 1}', BODY)
    assert await undo(ledger, first) == 0


async def test_a_replay_goes_on_at_its_rate_after_nobody_was_there(
    ledger: Ledger, clock: FakeClock
) -> None:
    for job_id in ("a", "b", "c"):
        await bury(ledger, job_id)
    await replay(ledger, "a", "b", "c", rate=0.1)
    await clock.move(3600.0)

    assert await ledger.write(partial(replays.resume, now=clock.utcnow())) == 1
    assert [posting.id for posting in await to_publish(ledger)] == ["a"]
    await clock.move(10.0)
    assert [posting.id for posting in await to_publish(ledger)] == ["a", "b"]


async def test_what_was_kept_of_a_replay_goes_with_its_job(
    ledger: Ledger, clock: FakeClock
) -> None:
    for job_id in ("a", "b"):
        await bury(ledger, job_id)
    number, _ = await replay(ledger, "a", "b", rate=1.0, body=b"{}")
    kept = select(replayed.c.job_id)
    now = clock.utcnow()
    for job_id in ("a", "b"):
        off = partial(withdrawals.call_off, queue=QUEUE, job_id=job_id, state=JobState.REMOVED)
        await ledger.write(partial(off, now=now))
    await ledger.write(partial(withdrawals.erase, queue=QUEUE, job_id="a", now=now))
    assert await ledger.read(lambda connection: list(connection.scalars(kept))) == ["b"]
    await clock.move(100 * 86_400.0)
    expired = Expired(QUEUE, JobState.REMOVED, clock.utcnow())
    await ledger.write(partial(retention.remove, expired=expired, limit=9, now=clock.utcnow()))

    assert await ledger.read(lambda connection: list(connection.scalars(kept))) == []
    assert await undo(ledger, number) == 0


async def test_a_copy_in_the_embedded_queues_is_taken_out(ledger: Ledger, queues: Queues) -> None:
    await bury(ledger, "a")
    number, _ = await replay(ledger, "a")
    lane, packed = CARD.queues.priority, b"{}"
    message = {"queue": lane, "state": 0, "level": 3, "body": packed, "properties": packed}
    put = insert(embedded_messages).values(message | {"job_id": "a"})
    await ledger.write(lambda connection: connection.execute(put))

    assert await undo(ledger, number) == 1
    assert (
        await ledger.read(
            lambda connection: connection.scalar(text("SELECT count(*) FROM embedded_messages"))
        )
        == 0
    )
