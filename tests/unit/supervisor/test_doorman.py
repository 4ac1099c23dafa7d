"""Jobs of limited keys at the door: who begins, who comes back when, and in which order."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from consumers.desk import Later, Run, Verdict
from consumers.limits import Limits, Rate
from supervisor.core.records import JobState
from supervisor.doorman import DAY, GUESS, LONGEST_GUESS
from tests.support.clocks import settle
from tests.support.offices import CARD, FIRST, SECOND, Office, a_claim, a_result, an_office
from workers.messages import Settled

RATE = Limits(Rate(1, 1.0), burst=2, by="from")
TOGETHER = Limits(by="from", concurrency=2)
RARELY = Limits(Rate(1, 30 * DAY), by="from")
BOTH = Limits(Rate(1, 1.0), by="from", concurrency=1)


@pytest.fixture
async def limited(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Office]:
    card = replace(CARD, limits=request.param)
    async for office in an_office(tmp_path, card):
        yield office


by_rate = pytest.mark.parametrize("limited", [RATE], indirect=True, ids=["rate"])
by_place = pytest.mark.parametrize("limited", [TOGETHER], indirect=True, ids=["concurrency"])


async def come(office: Office, job_id: str | None, key: str = "ana", seq: int = 0) -> Verdict:
    """Let a job come to the door, of a message or as its copy ``seq``."""
    holder = FIRST if key == "ana" else SECOND
    body = b'{"from": "%s"}' % key.encode()
    claim = a_claim(job_id, body=body, seq=seq, limit_key=key, redelivered=False)
    return await office.clerk.claim(holder, claim)


async def end(office: Office, job_id: str) -> None:
    await office.clerk.completed(a_result(job_id))
    await settle()


def delays(verdicts: list[Verdict]) -> list[float]:
    return [verdict.delay if isinstance(verdict, Later) else 0.0 for verdict in verdicts]


@by_rate
async def test_jobs_over_the_rate_of_their_key_get_slots_in_their_order(limited: Office) -> None:
    verdicts = [await come(limited, f"j{n}") for n in range(5)]

    assert delays(verdicts) == pytest.approx([0, 0, 1, 2, 3])
    record = await limited.record("j4")
    assert (record.state, record.attempts, record.seq) == (JobState.DELAYED, 0, 1)


@by_rate
async def test_a_job_of_another_key_is_not_held_back(limited: Office) -> None:
    for n in range(5):
        await come(limited, f"j{n}")

    assert isinstance(await come(limited, "other", "bob"), Run)


@by_rate
async def test_a_job_that_comes_back_in_its_slot_runs_however_many_came_meanwhile(
    limited: Office,
) -> None:
    for n in range(3):
        await come(limited, f"j{n}")
    limited.clock.advance(1.0)
    newer = await come(limited, "newer")

    verdict = await come(limited, "j2", seq=1)

    assert delays([newer]) == pytest.approx([1.0])
    assert verdict == Run("j2", seq=1)


@by_rate
async def test_a_job_that_comes_back_early_keeps_its_slot(limited: Office) -> None:
    for n in range(3):
        await come(limited, f"j{n}")
    limited.clock.advance(0.4)

    early = await come(limited, "j2", seq=1)
    limited.clock.advance(0.6)
    verdict = await come(limited, "j2", seq=2)

    assert delays([early]) == pytest.approx([0.6])
    assert verdict == Run("j2", seq=2)


@by_rate
async def test_each_run_takes_a_slot_of_its_own(limited: Office) -> None:
    for n in range(3):
        await come(limited, f"j{n}")
    limited.clock.advance(1.0)
    await come(limited, "j2", seq=1)
    await limited.clerk.blamed(FIRST[0], [(CARD.queues.public, "j2")], "killed by SIGKILL (9)")
    back = await come(limited, "j2", seq=1)  # as a suspect it waits first of all
    assert isinstance(back, Later)

    verdict = await come(limited, "j2", seq=back.seq)

    assert delays([verdict]) == pytest.approx([1.0])


@by_rate
async def test_a_message_without_an_id_is_put_aside_as_well(limited: Office) -> None:
    verdicts = [await come(limited, None) for _ in range(3)]

    later = verdicts[2]
    assert isinstance(later, Later)
    limited.clerk.settlements.hear(
        FIRST, Settled(CARD.queues.public, later.job_id, seq=later.seq, is_nameless=True)
    )
    limited.clock.advance(1.0)
    assert await come(limited, later.job_id, seq=1) == Run(later.job_id, seq=1)


@by_place
async def test_no_more_jobs_of_a_key_run_at_once_than_it_says(limited: Office) -> None:
    verdicts = [await come(limited, f"j{n}") for n in range(4)]
    other = await come(limited, "other", "bob")

    assert [type(verdict) for verdict in verdicts] == [Run, Run, Later, Later]
    assert delays(verdicts)[2:] == pytest.approx([GUESS / 2, GUESS])
    assert isinstance(other, Run)


@by_place
async def test_a_place_is_free_again_when_its_job_has_ended(limited: Office) -> None:
    for n in range(2):
        await come(limited, f"j{n}")
    await end(limited, "j0")

    assert isinstance(await come(limited, "j2"), Run)
    assert isinstance(await come(limited, "j3"), Later)


@by_place
async def test_the_place_of_a_job_whose_worker_died_is_free_again(limited: Office) -> None:
    for n in range(2):
        await come(limited, f"j{n}")
    await limited.clerk.blamed(FIRST[0], [(CARD.queues.public, "j0")], "killed by SIGKILL (9)")
    await settle()

    assert isinstance(await come(limited, "j2"), Run)


@by_place
async def test_those_who_wait_come_back_as_fast_as_the_jobs_before_them_end(
    limited: Office,
) -> None:
    for n in range(2):
        await come(limited, f"j{n}")
    limited.clock.advance(10.0)
    await end(limited, "j0")
    await come(limited, "j2")

    verdicts = [await come(limited, f"w{n}") for n in range(3)]

    assert delays(verdicts) == pytest.approx([5, 10, 15])


@by_place
async def test_one_that_came_back_waits_a_moment_for_a_place(limited: Office) -> None:
    for n in range(3):
        await come(limited, f"j{n}")
    back = asyncio.ensure_future(come(limited, "j2", seq=1))
    assert await limited.stays_waiting(back)

    await end(limited, "j0")

    assert await back == Run("j2", seq=1)


@by_place
async def test_one_that_came_back_in_vain_is_put_aside_again(limited: Office) -> None:
    for n in range(3):
        await come(limited, f"j{n}")

    again = await come(limited, "j2", seq=1)

    assert isinstance(again, Later)
    assert (again.seq, again.attempts) == (2, 0)
    assert (await limited.record("j2")).attempts == 0


@pytest.mark.parametrize("limited", [BOTH], indirect=True, ids=["both"])
async def test_a_job_that_waits_for_its_slot_takes_no_place(limited: Office) -> None:
    await come(limited, "j0")
    await end(limited, "j0")
    waits = await come(limited, "j1")
    limited.clock.advance(1.0)

    assert delays([waits]) == pytest.approx([1.0])
    assert isinstance(await come(limited, "j1", seq=1), Run)


@pytest.mark.parametrize("limited", [RARELY], indirect=True, ids=["rarely"])
async def test_a_slot_far_away_is_kept_and_its_job_comes_to_see_meanwhile(limited: Office) -> None:
    verdicts = [await come(limited, f"j{n}") for n in range(3)]
    limited.clock.advance(DAY)

    again = await come(limited, "j2", seq=1)

    assert delays(verdicts) == [0.0, DAY, DAY]
    assert delays([again]) == [DAY]
    limited.clock.advance(59 * DAY)
    assert isinstance(await come(limited, "j2", seq=2), Run)


@by_rate
async def test_slots_that_a_wrong_clock_gave_keep_nobody_waiting(limited: Office) -> None:
    limited.clock.leap = 3 * 365 * DAY
    for n in range(3):
        await come(limited, f"j{n}")

    limited.clock.leap = 0.0

    assert isinstance(await come(limited, "j2", seq=1), Run)
    assert isinstance(await come(limited, "new"), Run)
    assert delays([await come(limited, "newer")]) == pytest.approx([1.0])


@by_place
async def test_who_waits_for_jobs_that_took_long_looks_again_soon(limited: Office) -> None:
    for n in range(2):
        await come(limited, f"j{n}")
    limited.clock.advance(3600.0)
    await end(limited, "j0")
    await come(limited, "j2")

    verdicts = [await come(limited, f"w{n}") for n in range(9)]

    assert max(delays(verdicts)) <= LONGEST_GUESS
    limited.clock.advance(LONGEST_GUESS)
    await end(limited, "j1")
    await end(limited, "j2")
    assert isinstance(await come(limited, "w8", seq=1), Run)


async def test_a_pool_without_limits_by_key_asks_nobody(tmp_path: Path) -> None:
    async for office in an_office(tmp_path):
        claim = msgspec.structs.replace(a_claim("j1"), limit_key="ana")
        assert await office.clerk.claim(FIRST, claim) == Run("j1")
