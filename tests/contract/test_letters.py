"""Dead letters in the ledger: found, grouped, exported and taken in."""

from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text, update

from consumers.outcome import Failure
from supervisor.core.letters import LetterFilter
from supervisor.core.records import Incident
from supervisor.desks.letters import Exported
from supervisor.ledger import letter_files, letters
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables.jobs import attempts, jobs
from tests.support.clocks import FakeClock
from tests.support.failed_jobs import ALL, POOL, bury, fail_after_a_run, ids, replay, row
from tests.support.ledgers import BODY, QUEUE

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
