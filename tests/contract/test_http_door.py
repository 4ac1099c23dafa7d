"""The door to the street: who is let in by their tokens, and what they may do there."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from supervisor.api.admission import account
from supervisor.api.meter import MOST_ACCOUNTS, Meter
from supervisor.core.rates import Pace
from tests.support.doors import (
    ADMIN,
    GUARDED,
    OPEN,
    OTHER,
    PUBLISHER,
    RUNNER,
    Street,
    problem_of,
    street,
)

ORDER = {"pool": "download", "data": {"link": "https://example.com/v"}}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Street]:
    async with street(tmp_path) as door:
        yield door


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {ADMIN}", f"Bearer {ADMIN} more"]
)
async def test_without_a_known_token_nothing_is_told(door: Street, header: str) -> None:
    async with door.caller() as stranger:
        for path in ("/api/status", "/api/nothing", "/schema/openapi.json"):
            answer = await stranger.get(path, headers={"Authorization": header} if header else {})

            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="supervisor"')
            problem_of(answer)


async def test_the_token_is_read_whatever_the_scheme_is_written_like(door: Street) -> None:
    async with door.caller() as client:
        answer = await client.get("/api/status", headers={"Authorization": f"bEARER {ADMIN}"})

    assert answer.status_code == 200


async def test_strangers_see_that_it_is_well_and_not_why(door: Street) -> None:
    async with door.caller() as stranger, door.caller(ADMIN) as admin:
        for path in ("/livez", "/readyz", "/healthz"):
            assert (await stranger.get(path)).json() == {"status": "ok"}
        told = (await stranger.get("/health")).json()
        more = (await admin.get("/health")).json()

    assert set(told) == {"status", "uptime"}
    assert (told["status"], more["health"]["totalWorkers"]) == ("ok", 4)


async def test_a_publisher_hands_in_jobs_and_sees_its_own_alone(door: Street) -> None:
    async with door.caller(PUBLISHER) as shop, door.caller(OTHER) as blog:
        job = (await shop.post("/api/jobs", json=ORDER)).json()["id"]
        mine = [await shop.get(f"/api/jobs/{job}{part}") for part in ("", "/status")]
        theirs = [await blog.get(f"/api/jobs/{job}{part}") for part in ("", "/status")]
        part_of_it = await shop.get(f"/api/jobs/{job[:-1]}")

    assert [answer.status_code for answer in mine] == [200, 200]
    assert [answer.status_code for answer in theirs] == [404, 404]
    assert part_of_it.status_code == 404


async def test_an_id_of_somebody_elses_job_is_taken(door: Street) -> None:
    async with door.caller(PUBLISHER) as shop, door.caller(OTHER) as blog:
        for _ in range(2):
            assert (await shop.post("/api/jobs", json=ORDER | {"id": "1"})).status_code == 202
        answer = await blog.post("/api/jobs", json=ORDER | {"id": "1"})

    assert answer.status_code == 409
    assert "id: 1 is taken" in str(problem_of(answer)["detail"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/jobs"),
        ("GET", "/api/status"),
        ("GET", "/api/events"),
        ("DELETE", "/api/jobs/1"),
        ("POST", "/api/jobs/1/retry"),
        ("PUT", "/api/pools/download/instances"),
        ("POST", "/api/pools/download/run"),
        ("GET", "/api/schedules"),
    ],
)
async def test_what_is_for_admins_names_the_role_it_needs(
    door: Street, method: str, path: str
) -> None:
    async with door.caller(PUBLISHER) as shop:
        answer = await shop.request(method, path)

    assert answer.status_code == 403
    assert "which the token shop has not" in str(problem_of(answer)["detail"])


async def test_the_worker_secret_has_pools_worked_off_and_nothing_else(door: Street) -> None:
    async with door.caller(RUNNER) as cron:
        assert (await cron.post("/api/pools/download/run", json={})).status_code == 200
        assert (await cron.post("/api/jobs", json=ORDER)).status_code == 403
        assert (await cron.get("/api/jobs")).status_code == 403


async def test_every_answer_has_the_headers_of_a_careful_server(door: Street) -> None:
    async with door.caller(ADMIN, Origin="https://evil.example") as admin:
        for answer in (await admin.get("/api/status"), await admin.get("/api/none")):
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert answer.headers["Cache-Control"] == "no-store"
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert "server" not in answer.headers


async def test_the_head_of_whatever_can_be_got(door: Street) -> None:
    async with door.caller(ADMIN) as admin:
        got = await admin.get("/api/workers")
        head = await admin.head("/api/workers")
        endless = await admin.head("/api/events")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert endless.status_code == 200


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/jobs", "GET, HEAD, OPTIONS, POST"),
        ("/api/jobs?pool=toy", "GET, HEAD, OPTIONS, POST"),
        ("/api/jobs/a", "DELETE, GET, HEAD, OPTIONS"),
        ("/api/schedules/nightly", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/livez", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_path_names_all_its_methods_asked_for_them_or_for_another(
    door: Street, path: str, methods: str
) -> None:
    async with door.caller(ADMIN) as admin:
        may = await admin.options(path)
        refused = await admin.patch(path)

    assert (may.status_code, may.headers["Allow"]) == (204, methods)
    assert (refused.status_code, refused.headers["Allow"]) == (405, methods)
    named = ", ".join(name for name in methods.split(", ") if name not in {"HEAD", "OPTIONS"})
    assert problem_of(refused)["detail"] == f"PATCH is not done here; allowed are {named}"


async def test_without_tokens_only_this_machine_may_ask(tmp_path: Path) -> None:
    async with street(tmp_path, OPEN) as door, door.caller() as client:
        allowed = [{}, {"Host": f"localhost:{door.port}"}, {"Origin": door.url}]
        refused = [
            {"Host": "evil.example"},  # a name of somebody else's that leads here
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
        ]

        for headers in allowed:
            assert (await client.get("/api/status", headers=headers)).status_code == 200
        for headers in refused:
            answer = await client.get("/api/status", headers=headers)
            assert answer.status_code == 403, headers
            problem_of(answer)


async def test_a_body_that_a_web_page_could_send_unasked_is_no_job(tmp_path: Path) -> None:
    async with street(tmp_path, OPEN) as door, door.caller() as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            answer = await client.post(
                "/api/jobs", content=b'{"pool": "download"}', headers={"Content-Type": kind}
            )
            assert answer.status_code == 415
            problem_of(answer)

        assert door.control.orders == []


async def test_who_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    rules = replace(GUARDED, pace=Pace(step=60_000_000, burst=3))
    async with street(tmp_path, rules) as door:
        async with door.caller(ADMIN) as admin, door.caller(PUBLISHER) as shop:
            answers = [await admin.get("/api/workers") for _ in range(4)]
            other = await shop.post("/api/jobs", json=ORDER)
            alive = [(await admin.get(path)).status_code for path in ("/livez", "/health")]
        async with door.caller("a wrong one") as stranger:
            guesses = [(await stranger.get("/api/workers")).status_code for _ in range(4)]
            probed = await stranger.get("/livez")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
    problem_of(answers[3])
    assert other.status_code == 202
    assert guesses == [401, 401, 401, 429]
    assert [*alive, probed.status_code] == [200, 200, 200]  # who is busy is not dead


def test_a_network_of_many_addresses_is_one_caller() -> None:
    assert account("2001:db8:1:2:aaaa::1") == account("2001:db8:1:2:bbbb::2")
    assert account("2001:db8:1:3::1") != account("2001:db8:1:2::1")
    assert account("192.0.2.1") != account("192.0.2.2")


def test_the_meter_forgets_those_who_have_rested() -> None:
    meter = Meter(Pace(step=1_000_000, burst=1))
    for number in range(MOST_ACCOUNTS):
        assert meter.take(f"account-{number}", now=1.0) == 0.0
    assert meter.take("account-1", now=1.5) == pytest.approx(0.5)

    meter.take("one more", now=10.0)

    assert len(meter) == 1


async def test_the_token_is_in_no_answer(door: Street) -> None:
    async with door.caller(ADMIN) as admin:
        door.control.broken = RuntimeError("a mistake of ours")
        said: list[httpx.Response] = [
            await admin.get("/api/status"),
            await admin.get(f"/api/{ADMIN[:4]}"),
            await admin.post("/api/jobs", json={"pool": "none", "data": {}}),
        ]

    assert [answer.status_code for answer in said] == [500, 404, 404]
    assert not any(ADMIN in answer.text for answer in said)
