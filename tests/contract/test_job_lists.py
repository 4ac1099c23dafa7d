"""Lists of jobs in pages, and many jobs at once: over the API, and on a real ledger."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest

from consumers.jobs import Properties
from supervisor.core.records import JobFilter, JobPage, NewJob
from supervisor.ledger import listing, pending
from supervisor.ledger.store import Ledger
from tests.support.clocks import FakeClock
from tests.support.doors import ADMIN, PUBLISHER, Street, problem_of, street


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Street]:
    async with street(tmp_path) as door:
        yield door


async def test_a_list_goes_on_where_its_link_leads(door: Street) -> None:
    async with door.caller(ADMIN) as admin:
        orders = [{"pool": "download", "data": {}, "id": f"job {n}"} for n in range(5)]
        await admin.post("/api/jobs/bulk", json=orders)
        seen: list[str] = []
        address = "/api/jobs?pool=download&limit=2"
        while address:
            answer = await admin.get(address)
            page = answer.json()
            seen += [job["id"] for job in page["jobs"]]
            following = answer.links.get("next", {}).get("url", "")
            assert ("cursor" in following) == (page["nextCursor"] is not None)
            assert not following or "pool=download" in following
            address = following

    assert seen == [f"job {n}" for n in (4, 3, 2, 1, 0)]


async def test_the_word_of_other_systems_for_active_is_understood(door: Street) -> None:
    async with door.caller(ADMIN) as admin:
        answer = await admin.get("/api/jobs", params={"state": "processing"})

    assert (answer.status_code, answer.json()["jobs"]) == (200, [])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"sort": "random"}, "sort: must be newest or oldest, is 'random'"),
        ({"since": "2026-11-22T10:00:00"}, "since: must say its time zone"),
        ({"until": "yesterday"}, "until: must be a moment like 2026-"),
        ({"since": "5"}, "since: must be a moment like 2026-"),
        ({"limit": "0"}, "limit"),
    ],
)
async def test_a_list_that_cannot_be_is_refused_by_name(
    door: Street, query: dict[str, str], said: str
) -> None:
    async with door.caller(ADMIN) as admin:
        answer = await admin.get("/api/jobs", params=query)

    assert answer.status_code == 422
    assert said in str(problem_of(answer)["detail"])


@pytest.mark.parametrize("query", [{"cursor": "nonsense"}, {"cursor": "bzE", "sort": "newest"}])
async def test_a_cursor_of_another_list_or_order_leads_to_no_page(
    door: Street, query: dict[str, str]
) -> None:
    async with door.caller(ADMIN) as admin:
        answer = await admin.get("/api/jobs", params=query)

    problem = problem_of(answer)
    assert (answer.status_code, problem["type"]) == (404, "/problems/unknown-page")
    assert str(problem["detail"]).startswith("cursor: is none that this list gave")


async def test_each_of_many_jobs_is_judged_by_itself(door: Street) -> None:
    lines = [
        b'{"pool": "download", "data": {}, "id": "a"}',
        b'{"pool": "nobody", "data": {}}',
        b"",
        b'{"pool": "download", "data": {}, "colour": 1}',
        b"not json",
        b'{"pool": 1, "data": {}}',
        b'{"pool": "download", "data": {}, "id": "a"}',
        b'{"pool": "download", "data": {}, "id": "b"}',
    ]
    async with door.caller(PUBLISHER) as shop:
        answer = await shop.post(
            "/api/jobs/bulk",
            content=b"\n".join(lines),
            headers={"Content-Type": "application/x-ndjson"},
        )

    assert answer.status_code == 207
    told = answer.json()
    assert (told["accepted"], told["refused"]) == (3, 4)
    assert [item["status"] for item in told["items"]] == [202, 404, 400, 400, 422, 200, 202]
    assert [item.get("id", "") for item in told["items"]] == ["a", "", "", "", "", "a", "b"]
    why = [item["problem"]["detail"] for item in told["items"][2:5]]
    assert why[0].startswith("colour: is no field here; allowed are pool, data")
    assert why[1].startswith("the body is not JSON: ")
    assert why[2] == "pool: must be a text, is a whole number"
    assert [order.id for order in door.control.orders] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{}", 400), (b"[", 400), (b"[]", 422), (b"[" + b"1," * 1000 + b"1]", 422)],
)
async def test_what_is_no_list_of_jobs_is_refused_as_a_whole(
    door: Street, content: bytes, status: int
) -> None:
    async with door.caller(ADMIN) as admin:
        answer = await admin.post(
            "/api/jobs/bulk", content=content, headers={"Content-Type": "application/json"}
        )

    assert answer.status_code == status
    problem_of(answer)


async def test_when_nothing_can_be_stored_nothing_is_accepted(door: Street) -> None:
    door.control.away = "the ledger cannot be asked"
    async with door.caller(ADMIN) as admin:
        answer = await admin.post("/api/jobs/bulk", json=[{"pool": "download", "data": {}}])

    assert answer.status_code == 503
    problem_of(answer)


# --- the ledger ---------------------------------------------------------------------------------


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    clock = FakeClock()
    ledger = await Ledger.open(f"sqlite:///{tmp_path}/ledger.db", clock=clock)
    for number in range(7):
        job = NewJob(
            id=f"job-{number}",
            pool="toy" if number % 2 else "other",
            queue="toy_queue",
            body=b"{}",
            properties=Properties(),
            sender="ann" if number < 3 else "bob",
            name="mail" if number == 5 else "",
            origin="token:shop" if number == 6 else "",
        )
        assert await ledger.write(partial(pending.enter, job=job, now=clock.utcnow()))
        clock.advance(60)
    yield ledger
    await ledger.close()


async def _pages(ledger: Ledger, wanted: JobFilter) -> list[Sequence[str]]:
    pages: list[Sequence[str]] = []
    while True:
        look = partial(listing.page, wanted=wanted, now=ledger.clock.utcnow())
        page: JobPage = await ledger.read(look)
        pages.append([job.id.removeprefix("job-") for job in page.jobs])
        if page.next_number is None:
            return pages
        wanted = msgspec.structs.replace(wanted, after=page.next_number)


@pytest.mark.parametrize(
    ("wanted", "pages"),
    [
        (JobFilter(limit=3), ["654", "321", "0"]),
        (JobFilter(limit=3, oldest=True), ["012", "345", "6"]),
        (JobFilter(limit=7), ["6543210"]),
        (JobFilter(limit=2, pool="toy"), ["53", "1"]),
        (JobFilter(sender="ann"), ["210"]),
        (JobFilter(name="mail"), ["5"]),
        (JobFilter(origin="token:shop"), ["6"]),
        (JobFilter(group="none"), [""]),
    ],
)
async def test_pages_follow_each_other_without_a_gap(
    ledger: Ledger, wanted: JobFilter, pages: Sequence[str]
) -> None:
    assert ["".join(page) for page in await _pages(ledger, wanted)] == pages


async def test_a_span_of_time_ends_before_its_end(ledger: Ledger) -> None:
    (everything,) = await _pages(ledger, JobFilter())
    look = partial(listing.page, wanted=JobFilter(), now=ledger.clock.utcnow())
    times = [job.created_at for job in (await ledger.read(look)).jobs]

    found = await _pages(ledger, JobFilter(since=times[4], until=times[2]))

    assert len(everything) == 7
    assert found == [["3", "2"]]


async def test_an_empty_list_has_no_next_page(door: Street) -> None:
    async with door.caller(ADMIN) as admin:
        answer = await admin.get("/api/jobs")

    assert answer.json() == {"jobs": [], "nextCursor": None}
    assert "Link" not in answer.headers
