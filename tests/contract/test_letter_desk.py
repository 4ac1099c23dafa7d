"""The desk for dead letters, on a real ledger: which are meant, and what is said of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from consumers.desk import DeadLetter
from consumers.jobs import Properties
from consumers.outcome import Failure
from consumers.topology import pool_queues
from supervisor.book import Book, Running
from supervisor.core.records import JobRecord, JobState, PoolCard
from supervisor.desks.letters import Chosen, EditOrder, ReplayOrder
from supervisor.ledger import letters
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables.jobs import jobs
from supervisor.letters import Around, LetterDesk
from supervisor.ports import (
    BadOrderError,
    UnknownGroupError,
    UnknownJobError,
    UnknownPoolError,
    UnknownReplayError,
    WrongStateError,
)
from tests.support.ledgers import QUEUE, claim, enter, new_job, to_publish
from tests.support.offices import Listener

POOL = "download"
ROW = Failure("row 17 is empty", code="bad_row")
ROOM = Failure("no room", code="no_room")


@dataclass
class Scene:
    """A desk, and what it works with."""

    desk: LetterDesk
    ledger: Ledger
    book: Book
    bulletin: Listener
    paused: dict[str, str] = field(default_factory=dict)
    pokes: list[str] = field(default_factory=list)

    async def bury(self, job_id: str, failure: Failure = ROW, **changes: Any) -> None:
        letter = DeadLetter(
            queue=QUEUE,
            dead_queue=f"{QUEUE}_dlq",
            body=b'{"link": "x", "from": "ana"}',
            properties=Properties(message_id=job_id),
            failure=failure,
            sender="ana",
            attempts=3,
        )
        letter = msgspec.structs.replace(letter, **changes)
        await self.ledger.bury(letter, job_id=job_id, pool=POOL)

    async def job(self, job_id: str) -> JobRecord:
        found = await self.ledger.show(job_id)
        assert found is not None
        return found


@pytest.fixture
async def scene(ledger: Ledger) -> Scene:
    book, bulletin = Book(), Listener()
    paused: dict[str, str] = {}
    pokes: list[str] = []
    around = Around(ledger, book, lambda: pokes.append("poke"), bulletin, lambda: paused)
    cards = [PoolCard(POOL, pool_queues(QUEUE))]
    desk = LetterDesk(cards, around, ledger.clock, body_limit=1000)
    return Scene(desk, ledger, book, bulletin, paused, pokes)


async def test_a_group_is_sent_again_at_a_rate_and_the_dry_run_said_so_before(
    scene: Scene,
) -> None:
    for number in range(3):
        await scene.bury(f"row-{number}")
    await scene.bury("room", ROOM)
    scene.paused[POOL] = "slow"
    (largest, _) = await scene.desk.groups(Chosen())
    order = ReplayOrder(group=largest.group, rate=2.0)

    trial = await scene.desk.replay(msgspec.structs.replace(order, dry_run=True))
    unchanged = [(await scene.job(f"row-{n}")).state for n in range(3)]
    done = await scene.desk.replay(order)

    assert (trial.replay, trial.jobs, trial.seconds) == (None, 3, 1.0)
    assert trial.notes == ("download is paused (slow): its jobs wait until somebody resumes it",)
    assert [(share.group, share.jobs) for share in trial.groups] == [(largest.group, 3)]
    assert unchanged == [JobState.FAILED] * 3
    assert (done.jobs, done.what) == (3, f"group {largest.group}")
    assert scene.pokes
    assert [posting.id for posting in await to_publish(scene.ledger)] == ["row-0"]
    (told,) = await scene.desk.replays(9)
    assert (told.number, told.jobs, told.rate, told.states) == (done.replay, 3, 2.0, {"pending": 3})


async def test_what_has_not_begun_is_taken_back_and_what_runs_is_left(scene: Scene) -> None:
    for job_id in ("a", "b", "c"):
        await scene.bury(job_id)
    done = await scene.desk.replay(ReplayOrder(pool=POOL))
    assert done.replay is not None
    scene.book.enter((QUEUE, "b"), Running(claim("b", seq=1), ("download-1", 1), 0))

    undone = await scene.desk.undo(done.replay)

    assert (undone.jobs, undone.left) == (2, 1)
    states = {job_id: (await scene.job(job_id)).state for job_id in ("a", "b", "c")}
    assert states == {"a": JobState.FAILED, "b": JobState.PENDING, "c": JobState.FAILED}
    assert (await scene.job("a")).error == ROW
    with pytest.raises(UnknownReplayError, match="no replay 77"):
        await scene.desk.undo(77)


async def test_while_a_job_is_taken_back_no_delivery_of_it_is_judged(scene: Scene) -> None:
    await scene.bury("a")
    done = await scene.desk.replay(ReplayOrder(ids=("a",)))
    assert done.replay is not None
    async with scene.book.steering((QUEUE, "a")):
        undoing = asyncio.ensure_future(scene.desk.undo(done.replay))
        for _ in range(30):  # it would have been done long since
            await scene.ledger.write(letters.name_groups)
            await scene.ledger.counts()
        assert not undoing.done()

    assert (await undoing).jobs == 1


async def test_an_edited_letter_runs_with_its_new_data_and_keeps_the_first(scene: Scene) -> None:
    await scene.bury("abcdef")

    done = await scene.desk.edit("abcd", EditOrder({"link": "y", "from": "bo"}))
    (posting,) = await to_publish(scene.ledger)
    assert (done.jobs, posting.message.body) == (1, b'{"link":"y","from":"bo"}')
    assert (await scene.job("abcdef")).sender == "bo"
    with pytest.raises(WrongStateError, match="is pending, it is no dead letter"):
        await scene.desk.edit("abcdef", EditOrder({}))
    await scene.desk.undo(done.replay or 0)

    card = await scene.desk.show("abcdef")
    assert (card.body.text, card.original, card.job.sender) == (
        '{"link": "x", "from": "ana"}',
        None,
        "ana",
    )


async def test_an_edit_is_checked_as_an_order_is(scene: Scene) -> None:
    await scene.bury("a")

    with pytest.raises(BadOrderError, match=r"data: from: must be"):
        await scene.desk.edit("a", EditOrder({"from": []}))
    with pytest.raises(BadOrderError, match=r"data: then: names gone, which is no pool here"):
        await scene.desk.edit("a", EditOrder({"then": "gone"}))
    with pytest.raises(BadOrderError, match="the limit is 1,000"):
        await scene.desk.edit("a", EditOrder({"link": "x" * 2000}))
    assert (await scene.job("a")).state is JobState.FAILED


async def test_a_letter_is_shown_as_it_came_with_our_words_apart(scene: Scene) -> None:
    headers = {"mine": 1, "x-job-seq": 2, "x-job-expiration": "60000", "x-job-priority": "high"}
    await scene.bury("a", properties=Properties(app_id="node", headers=headers), body=b"\xff\x00")
    await scene.bury("b", failure=Failure("row 2 is empty", code="bad_row"))

    card = await scene.desk.show("a")

    assert (card.body.text, card.body.base64, card.alike) == (None, "/wA=", 2)
    assert card.properties == Properties(
        app_id="node", expiration="60000", headers={"mine": 1, "x-job-priority": "high"}
    )
    assert card.added == {"x-job-seq": 2}


async def test_all_are_meant_only_by_saying_so(scene: Scene) -> None:
    await scene.bury("a")
    for order in (Chosen(), Chosen(limit=5), Chosen(every=True, pool=POOL)):
        with pytest.raises(BadOrderError, match="every"):
            await scene.desk.purge(order)

    assert (await scene.desk.purge(Chosen(every=True))).jobs == 1


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (ReplayOrder(pool=POOL, rate=0.0), "rate: must be"),
        (ReplayOrder(pool=POOL, limit=0), "limit: must be 1 or more"),
        (ReplayOrder(pool=POOL, older=-1.0), "older: must be"),
        (ReplayOrder(pool=POOL, newer=float("inf")), "newer: must be"),
    ],
)
async def test_nonsense_is_named(scene: Scene, order: ReplayOrder, says: str) -> None:
    with pytest.raises(BadOrderError, match=says):
        await scene.desk.replay(order)


async def test_what_is_not_there_or_not_dead_is_said(scene: Scene) -> None:
    await enter(scene.ledger, new_job("waits"))

    with pytest.raises(UnknownPoolError):
        await scene.desk.find(Chosen(pool="nobody"), limit=9, after=None)
    with pytest.raises(UnknownJobError):
        await scene.desk.show("unknown")
    with pytest.raises(WrongStateError, match="waits is pending"):
        await scene.desk.show("waits")


async def test_letters_of_a_pool_that_is_gone_stay_and_the_order_says_so(scene: Scene) -> None:
    await scene.bury("a")
    gone = update(jobs).values(pool="old")
    await scene.ledger.write(lambda connection: connection.execute(gone))

    done = await scene.desk.replay(ReplayOrder(code="bad_row"))

    assert (done.replay, done.jobs) == (None, 0)
    assert done.notes == ("1 are of the pool old, which is not configured: they stay dead letters",)


async def test_a_purge_says_what_would_go_then_it_goes_and_listeners_hear_of_it(
    scene: Scene,
) -> None:
    for job_id in ("a", "b", "c"):
        await scene.bury(job_id)
    scene.book.enter((QUEUE, "c"), Running(claim("c"), ("download-1", 1), 0))

    trial = await scene.desk.purge(Chosen(pool=POOL, dry_run=True))
    done = await scene.desk.purge(Chosen(pool=POOL))

    assert (trial.jobs, done.jobs) == (2, 2)
    assert done.notes == ("1 have just failed, and stay: try again",)
    assert [letter.id for letter in (await scene.desk.find(Chosen(), limit=9, after=None)).letters]
    (event,) = scene.bulletin.events
    assert (event.name, event.queue, event.data) == (
        "cleaned",
        QUEUE,
        {"state": "failed", "jobs": 2},
    )


async def test_dead_letters_of_chains_that_are_not_over_outlast_a_purge(scene: Scene) -> None:
    await scene.ledger.begin(claim("root"), job_id="root", pool=POOL, worker="w-1", attempt=1)
    await scene.ledger.complete(
        QUEUE,
        "root",
        worker="w-1",
        result={},
        duration=1.0,
        followers=[new_job("a"), new_job("b")],
    )
    await scene.bury("a")
    await scene.bury("alone")

    trial = await scene.desk.purge(Chosen(every=True, dry_run=True))
    done = await scene.desk.purge(Chosen(every=True))

    assert (trial.jobs, done.jobs, [letter.id for letter in await _found(scene)]) == (1, 1, ["a"])
    assert done.notes == ("1 belong to chains that are not over, and stay until then",)


async def test_an_export_is_taken_in_again_and_bad_lines_are_named(scene: Scene) -> None:
    for job_id in ("a", "b"):
        await scene.bury(job_id)
    lines = [line async for line in scene.desk.export(Chosen())]
    one = [line async for line in scene.desk.export(Chosen(limit=1))]
    await scene.desk.purge(Chosen(ids=("a",)))
    strange = msgspec.json.decode(lines[0])
    faults: tuple[Mapping[str, object], ...] = (
        *({"pool": "nobody"}, {"queue": "nowhere"}, {"format": 2}, {"id": ""}, {"id": "n\0l"}),
        *({"body": {}}, {"body": {"base64": "?"}}, {"failedAt": "2026-11-22T10:00:00"}),
    )
    bad = [msgspec.json.encode({**strange, **fault}) for fault in faults]

    taken = await scene.desk.take_in([*lines, b"", b"{", *bad])

    assert (len(lines), len(one)) == (2, 1)
    assert (taken.taken, taken.known) == (1, 1)
    assert [refused.line for refused in taken.refused] == [4, *range(5, 13)]
    assert [letter.id for letter in await _found(scene)] == ["a", "b"]


async def _found(scene: Scene) -> list[Any]:
    page = await scene.desk.find(Chosen(), limit=9, after=None)
    return sorted(page.letters, key=lambda letter: letter.id)


async def test_a_group_that_there_is_not_is_refused_and_one_of_another_pool_is_none(
    scene: Scene,
) -> None:
    await scene.bury("a")
    (group,) = await scene.desk.groups(Chosen())

    with pytest.raises(UnknownGroupError, match="is of a group 'nope'; see `dlq groups"):
        await scene.desk.replay(ReplayOrder(group="nope"))

    assert (await scene.desk.replay(ReplayOrder(group=group.group, older=60.0))).jobs == 0


async def test_old_letters_have_groups_as_soon_as_somebody_asks(scene: Scene) -> None:
    await scene.bury("a")
    forget = update(jobs).values(error_group="")
    await scene.ledger.write(lambda connection: connection.execute(forget))

    (group,) = await scene.desk.groups(Chosen())
    assert group.group.startswith("bad_row-")
    assert (await scene.desk.replay(ReplayOrder(group=group.group, dry_run=True))).jobs == 1
