"""Outcomes that a killed supervisor had not written down, taken over by the next: real ledgers."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from consumers.desk import Claim, Condemn, Drop, Later, Run
from supervisor.core.records import JobState
from supervisor.ledger.recovery import recover
from supervisor.ledger.store import Ledger
from supervisor.salvage import Salvage
from tests.support.clocks import FakeClock
from tests.support.offices import CARD, FIRST, Office, a_claim, a_result, an_error, an_office
from tests.support.sessions import QUEUES
from workers import messages, spool
from workers.messages import JobError, JobResult, Retrying
from workers.spool import Spool

pytestmark = pytest.mark.timeout(60)

NAMELESS = a_claim(None)
AGAIN = msgspec.structs.replace(NAMELESS, redelivered=True)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async for one in an_office(tmp_path):
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "home"


def left(folder: Path, claim: Claim, outcome: JobResult | JobError) -> None:
    """Leave an outcome as a worker does that is killed before it hears of it."""
    kept = Spool(str(folder / f"download-1{spool.ENDING}"))
    kept.granted(claim, Run("j1"))
    kept.hand_in(outcome)


async def salvage(office: Office, folder: Path) -> int:
    return await Salvage(office.ledger, office.clerk, {CARD.name}).run(folder)


async def test_a_result_is_recorded_and_told_and_its_message_is_known(
    office: Office, folder: Path
) -> None:
    left(folder, NAMELESS, a_result())

    assert await salvage(office, folder) == 1

    record = await office.record()
    assert (record.state, record.result) == (JobState.COMPLETED, {"data": {"answer": 42}})
    assert [notice.job_id for notice in await office.notices()] == ["j1"]
    assert "completed" in office.told
    assert await office.clerk.claim(FIRST, AGAIN) == Drop("j1", "settled")
    acked = messages.Settled(QUEUES.public, "j1", is_nameless=True)
    office.clerk.settlements.settled(FIRST, acked)
    await office.clerk.settlements.quiet()
    second = await office.clerk.claim(FIRST, AGAIN)
    assert isinstance(second, Run)
    assert second.job_id != "j1"


async def test_its_message_is_known_after_a_second_kill_too(
    office: Office, folder: Path, tmp_path: Path
) -> None:
    left(folder, NAMELESS, a_result())
    await salvage(office, folder)
    await office.ledger.close()

    async for next_one in an_office(tmp_path):
        assert await next_one.clerk.claim(FIRST, AGAIN) == Drop("j1", "settled")


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_failed_attempt_is_counted_and_its_copy_ordered(
    office: Office, folder: Path, *, is_known: bool
) -> None:
    if is_known:
        await _was_running(office.ledger, NAMELESS)
    left(folder, NAMELESS, an_error(retry=Retrying(delay=30.0)))

    await salvage(office, folder)

    verdict = await office.clerk.claim(FIRST, AGAIN)
    assert isinstance(verdict, Later)
    assert (verdict.job_id, verdict.attempts) == ("j1", 1)


@pytest.mark.parametrize("claim", [NAMELESS, a_claim(), a_claim(None, tag=5)])
async def test_a_last_failure_waits_for_its_message_and_goes_to_the_dead_letters(
    office: Office, folder: Path, claim: Claim
) -> None:
    await _was_running(office.ledger, claim)
    left(folder, claim, an_error())

    await salvage(office, folder)

    assert (await office.record()).state is JobState.WAITING
    again = msgspec.structs.replace(claim, redelivered=True)
    verdict = await office.clerk.claim(FIRST, again)
    assert isinstance(verdict, Condemn)
    assert (verdict.job_id, verdict.failure.message) == ("j1", "no such host")


async def test_what_was_committed_and_not_acked_is_expected(office: Office, folder: Path) -> None:
    await office.ledger.begin(NAMELESS, job_id="j1", pool="download", worker="x", attempt=1)
    await office.ledger.complete(QUEUES.public, "j1", worker="x", result={}, duration=1)
    left(folder, NAMELESS, a_result())

    await salvage(office, folder)

    assert await office.clerk.claim(FIRST, AGAIN) == Drop("j1", "settled")


async def test_an_outcome_that_the_ledger_refuses_costs_its_job_a_run_and_no_more(
    office: Office, folder: Path
) -> None:
    await _was_running(office.ledger, a_claim())
    left(folder, a_claim(), a_result())
    office.ledger.silences = 1
    assert await salvage(office, folder) == 0

    left(folder, a_claim(), a_result())
    office.ledger.refusals = 2  # to begin it, or to complete it
    assert await salvage(office, folder) == 0

    office.ledger.refusals = 0
    verdict = await office.clerk.claim(FIRST, a_claim(redelivered=True))
    assert isinstance(verdict, Run)
    assert verdict.job_id == "j1"


async def test_a_job_that_cannot_be_completed_is_in_nobodys_hand(
    office: Office, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_message: JobResult) -> None:
        raise ZeroDivisionError

    left(folder, a_claim(), a_result())
    with monkeypatch.context() as broken:
        broken.setattr(office.clerk, "completed", fail)
        assert await salvage(office, folder) == 0

    assert not office.clerk.book.is_in_hand((QUEUES.public, "j1"))
    assert (await office.record()).state is JobState.WAITING
    assert isinstance(await office.clerk.claim(FIRST, a_claim(redelivered=True)), Run)


async def test_spools_are_read_once_and_those_of_other_brokers_never(
    office: Office, folder: Path
) -> None:
    left(folder, a_claim(), a_result())
    elsewhere = folder.parent / "elsewhere"
    left(elsewhere, a_claim("j2"), a_result("j2"))

    assert await salvage(office, folder) == 1
    assert await salvage(office, folder) == 0
    assert await salvage(office, elsewhere) == 0


async def test_what_cannot_be_removed_is_not_believed(office: Office, folder: Path) -> None:
    left(folder, a_claim(), a_result())
    (folder / f"folder{spool.ENDING}").mkdir()

    assert await salvage(office, folder) == 1
    assert await salvage(office, folder / "nowhere") == 0


async def test_the_jobs_of_a_pool_that_is_gone_run_when_somebody_wants_them(
    office: Office, folder: Path
) -> None:
    left(folder, NAMELESS, a_result())

    assert await Salvage(office.ledger, office.clerk, {"another"}).run(folder) == 0

    assert await office.ledger.show("j1") is None


@pytest.mark.postgres
async def test_in_a_shared_ledger_a_message_without_an_id_is_left_to_who_has_it(
    postgres_url: str, clock: FakeClock, folder: Path, tmp_path: Path
) -> None:
    ours = await Ledger.open(postgres_url, clock=clock, node="a")
    await ours.begin(NAMELESS, job_id="j1", pool="download", worker="download-1", attempt=1)
    left(folder, NAMELESS, a_result())
    await ours.close()
    heir = await Ledger.open(postgres_url, clock=clock, node="b")
    succeed = partial(recover, nodes=["a"], pools=["download"], now=clock.utcnow())
    await heir.write(succeed)
    async for office in an_office(tmp_path):
        ours = await Ledger.open(postgres_url, clock=clock, node="a")
        assert await Salvage(ours, office.clerk, {CARD.name}).run(folder) == 0
        await ours.close()

    record = await heir.show("j1")
    assert record is not None
    assert record.state is JobState.WAITING
    await heir.close()


async def _was_running(ledger: Ledger, claim: Claim) -> None:
    """Have the ledger know a job as one that runs when its supervisor is killed, and starts."""
    await ledger.begin(claim, job_id="j1", pool="download", worker="download-1", attempt=1)
    await ledger.release(QUEUES.public, ("j1",))
