"""Dead letters in the ledger: found, grouped, sent again, taken back, exported and taken in."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, select, text, update

from consumers.desk import DeadLetter, Drop, Run
from consumers.jobs import Properties
from consumers.outcome import Failure
from consumers.topology import pool_queues
from supervisor.core.claims import judge
from supervisor.core.letters import LetterFilter
from supervisor.core.records import Incident, JobState, PoolCard
from supervisor.desks.letters import Exported, Replay
from supervisor.ledger import letter_files, letters, replays, retention, withdrawals
from supervisor.ledger.queues import Queues
from supervisor.ledger.replays import Heading, Turn
from supervisor.ledger.retention import Expired
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables import attempts, embedded_messages, jobs, replayed
from tests.support.clocks import FakeClock
from tests.support.ledgers import BODY, NODE, QUEUE, claim, to_publish

POOL = "download"
CARD = PoolCard(POOL, pool_queues(QUEUE))
ALL = LetterFilter()


def a_letter(**changes: Any) -> DeadLetter:
    letter = DeadLetter(
        queue=QUEUE,
        dead_queue=f"{QUEUE}_dlq",
        body=BODY,
        properties=Properties(headers={"x-job-attempts": 2}),
        failure=Failure("row 17 is empty", code="bad_row", permanent=True),
        sender="user123",
        attempts=2,
    )
    return msgspec.structs.replace(letter, **changes)


async def bury(ledger: Ledger, job_id: str, **changes: Any) -> None:
    await ledger.bury(a_letter(**changes), job_id=job_id, pool=POOL)


async def fail_after_a_run(ledger: Ledger, job_id: str, seq: int = 0) -> None:
    """Have a job run, fail for the last time with a traceback, and be buried."""
    await ledger.begin(claim(job_id, seq=seq), job_id=job_id, pool=POOL, worker="w-1", attempt=1)
    at = 'Traceback (most recent call last):\n  File "/app/a.py", line 1, in f\nValueError: no\n'
    failure = Failure("ValueError: no", code="exception", traceback=at)
    await ledger.give_up(QUEUE, job_id, failure=failure, attempts=1, worker="w-1")
    told = msgspec.structs.replace(failure, traceback="")
    headers = {"x-job-seq": seq}
    await bury(ledger, job_id, failure=told, attempts=1, properties=Properties(headers=headers))


async def row(ledger: Ledger, job_id: str) -> Mapping[str, Any]:
    found = select(jobs).where(jobs.c.id == job_id)
    return await ledger.read(lambda connection: dict(connection.execute(found).mappings().one()))


async def ids(ledger: Ledger, wanted: LetterFilter) -> list[str]:
    found, _ = await ledger.read(partial(letters.page, wanted=wanted, limit=50, after=None))
    return [letter.id for letter in found]


async def replay(
    ledger: Ledger, *ids_: str, rate: float | None = None, body: bytes | None = None
) -> tuple[int, int]:
    now, pause = ledger.clock.utcnow(), 0.0 if rate is None else 1 / rate
    turns = [
        Turn(QUEUE, job_id, now + timedelta(seconds=number * pause))
        for number, job_id in enumerate(ids_)
    ]
    heading = Heading("some", rate, body=body)
    return await ledger.write(partial(replays.enter, heading=heading, turns=turns, now=now))


async def undo(ledger: Ledger, number: int) -> int:
    keys = await ledger.read(partial(replays.unbegun, replay=number))
    now = ledger.clock.utcnow()
    return await ledger.write(partial(replays.undo, replay=number, keys=keys, now=now))


async def told(ledger: Ledger, number: int) -> Replay:
    (found,) = await ledger.read(partial(replays.newest, limit=1, number=number))
    return found


# --- looking -------------------------------------------------------------------------------------


async def test_dead_letters_are_found_by_what_is_known_of_them(
    ledger: Ledger, clock: FakeClock
) -> None:
    await bury(ledger, "old", sender="ana")
    await clock.move(3600.0)
    await bury(ledger, "new", failure=Failure("Disk full", code="no_room"), body=b"\xff\x00Raw")
    group = (await row(ledger, "old"))["error_group"]
    since = clock.utcnow() - timedelta(seconds=60)

    assert await ids(ledger, ALL) == ["new", "old"]
    assert await ids(ledger, LetterFilter(pool="other")) == []
    assert await ids(ledger, LetterFilter(group=group)) == ["old"]
    assert await ids(ledger, LetterFilter(code="no_room")) == ["new"]
    assert await ids(ledger, LetterFilter(code="no")) == []
    assert await ids(ledger, LetterFilter(sender="ana")) == ["old"]
    assert await ids(ledger, LetterFilter(since=since)) == ["new"]
    assert await ids(ledger, LetterFilter(until=since)) == ["old"]
    assert await ids(ledger, LetterFilter(text="DISK")) == ["new"]
    assert await ids(ledger, LetterFilter(text="raw")) == ["new"]
    assert await ids(ledger, LetterFilter(keys=((QUEUE, "old"), ("other", "new")))) == ["old"]


async def test_a_list_goes_on_where_its_page_ended_with_a_text_too(ledger: Ledger) -> None:
    for number in range(5):
        await bury(ledger, f"j{number}")
    for wanted in (ALL, LetterFilter(text="ROW")):
        page = partial(letters.page, wanted=wanted, limit=3)
        first, after = await ledger.read(partial(page, after=None))
        second, end = await ledger.read(partial(page, after=after))

        assert [each.id for each in (*first, *second)] == ["j4", "j3", "j2", "j1", "j0"]
        assert end is None


async def test_errors_that_are_alike_are_one_group_the_largest_first(
    ledger: Ledger, clock: FakeClock
) -> None:
    await bury(ledger, "a", failure=Failure("row 17 is empty", code="bad_row"))
    await bury(ledger, "c", failure=Failure("no room", code="no_room"))
    first = clock.utcnow()
    await clock.move(60.0)
    await bury(ledger, "b", failure=Failure("row 2 is empty", code="bad_row"))

    found = await ledger.read(partial(letters.groups, wanted=ALL))

    assert [(each.jobs, each.code, each.error, each.newest) for each in found] == [
        (2, "bad_row", "row 2 is empty", "b"),
        (1, "no_room", "no room", "c"),
    ]
    assert (found[0].first, found[0].last) == (first, clock.utcnow())
    assert (found[0].queue, found[0].pool) == (QUEUE, POOL)
    only = await ledger.read(partial(letters.groups, wanted=LetterFilter(code="no_room")))
    assert [each.newest for each in only] == ["c"]


async def test_the_traceback_of_the_last_run_counts_though_letters_do_not_carry_it(
    ledger: Ledger,
) -> None:
    await fail_after_a_run(ledger, "ran")
    await bury(ledger, "did not", failure=Failure("ValueError: no", code="exception"))

    groups = {(await row(ledger, job_id))["error_group"] for job_id in ("ran", "did not")}
    assert len(groups - {""}) == 2


async def test_what_failed_before_there_were_groups_gets_the_same_one_later(
    ledger: Ledger,
) -> None:
    await fail_after_a_run(ledger, "a")
    group = (await row(ledger, "a"))["error_group"]
    await ledger.write(lambda connection: connection.execute(update(jobs).values(error_group="")))

    assert await ledger.write(letters.name_groups) == 1
    assert await ledger.write(letters.name_groups) == 0
    assert (await row(ledger, "a"))["error_group"] == group


async def test_the_workers_that_died_with_a_job_in_hand_are_known(
    ledger: Ledger, clock: FakeClock
) -> None:
    for job_id in ("a", "b"):
        at = clock.utcnow()
        await ledger.record(Incident("w-1", POOL, "crash", "died", at, jobs=(job_id,)))

    assert [each.jobs for each in await ledger.read(partial(letters.deaths, job_id="a"))] == [
        ("a",)
    ]


# --- sending again -------------------------------------------------------------------------------


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


# --- out and in ----------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [BODY, b"\xff\xfe\x00raw", b"", '{"ä": "\\u0000"}'.encode()])
@pytest.mark.invariant(8)
async def test_what_is_exported_comes_back_byte_for_byte_and_once(
    ledger: Ledger, body: bytes
) -> None:
    await fail_after_a_run(ledger, "a")
    await ledger.write(lambda connection: connection.execute(update(jobs).values(body=body)))
    before, runs = await row(ledger, "a"), await _runs(ledger)
    lines, after = await ledger.read(partial(letter_files.out, wanted=ALL, after=None))
    picks = await ledger.read(partial(letters.pick, wanted=ALL, limit=9))
    gone = await ledger.write(
        partial(letters.erase, picks=picks, now=ledger.clock.utcnow() + timedelta(days=2))
    )
    entries = [letter_files.entry(msgspec.json.decode(line, type=Exported)) for line in lines]
    taken = [await ledger.write(partial(letter_files.take_in, entries=entries)) for _ in range(2)]

    assert (len(lines), after, dict(gone), taken) == (1, None, {QUEUE: 1}, [1, 0])
    came = await row(ledger, "a")
    differs = {name for name in before if before[name] != came[name]}
    assert differs <= {"number", "worker", "trace", "fingerprint", "given_up", "node"}
    assert [run[1:] for run in await _runs(ledger)] == [run[1:] for run in runs]


async def _runs(ledger: Ledger) -> list[tuple[Any, ...]]:
    found = select(attempts).order_by(attempts.c.run)
    return await ledger.read(lambda connection: [tuple(run) for run in connection.execute(found)])


async def test_a_large_export_is_read_in_parts(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letter_files, "LARGEST", 2 * len(BODY))
    for number in range(5):
        await bury(ledger, f"j{number}")
    sizes: list[int] = []
    after: int | None = None
    while not sizes or after is not None:
        lines, after = await ledger.read(partial(letter_files.out, wanted=ALL, after=after))
        sizes.append(len(lines))

    assert sizes == [3, 2]


async def test_only_dead_letters_are_erased(ledger: Ledger) -> None:
    await bury(ledger, "a")
    picks = await ledger.read(partial(letters.pick, wanted=ALL, limit=9))
    await replay(ledger, "a")

    gone = await ledger.write(partial(letters.erase, picks=picks, now=ledger.clock.utcnow()))
    assert dict(gone) == {}
    assert (await row(ledger, "a"))["state"] == "pending"


async def test_groups_of_many_dead_letters_are_counted_in_their_index(ledger: Ledger) -> None:
    if ledger.folder is None:
        pytest.skip("a planner that knows how small the tables are reads them whole")
    words = "EXPLAIN QUERY PLAN " + str(
        letters._groups.compile(compile_kwargs={"literal_binds": True})
    )
    steps = await ledger.read(
        lambda connection: [str(line[-1]) for line in connection.execute(text(words))]
    )

    assert any("COVERING INDEX jobs_groups" in step for step in steps), steps
