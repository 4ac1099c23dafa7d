"""Faults of the machine that a job met: counted by its runs, refuted by others that were done."""

from consumers.jobs import Faults
from supervisor.core.records import JobState, Known
from supervisor.ledger.store import Ledger
from tests.support.clocks import FakeClock
from tests.support.ledgers import QUEUE, claim, letter


async def begin(ledger: Ledger, job_id: str, *, seq: int = 0) -> None:
    taken = claim(job_id, seq=seq)
    assert await ledger.begin(taken, job_id=job_id, pool="download", worker="d-1", attempt=1)


async def complete(ledger: Ledger, job_id: str) -> None:
    assert await ledger.complete(
        QUEUE, job_id, worker="d-1", result={}, duration=1, notices=[], tag=0
    )


async def known(ledger: Ledger, job_id: str = "a") -> Known:
    found = await ledger.known(QUEUE, job_id)
    assert found is not None
    return found


async def meet_fault(ledger: Ledger, clock: FakeClock, job_id: str = "a") -> None:
    await begin(ledger, job_id)
    await ledger.release(QUEUE, [job_id], why="disk full")
    await clock.move(1)


async def do_another(ledger: Ledger, clock: FakeClock, job_id: str) -> None:
    await begin(ledger, job_id)
    await complete(ledger, job_id)
    await clock.move(1)


async def test_faults_of_the_machine_are_counted_until_others_are_done_they_are_not_refuted(
    ledger: Ledger, clock: FakeClock
) -> None:
    await do_another(ledger, clock, "before")
    await meet_fault(ledger, clock)
    assert (await known(ledger)).faults == Faults(1)
    await meet_fault(ledger, clock)
    await meet_fault(ledger, clock, "too")

    assert (await known(ledger)).faults == Faults(2)
    await do_another(ledger, clock, "after")
    assert (await known(ledger)).faults == Faults(2, refuted=1)
    await meet_fault(ledger, clock)
    await do_another(ledger, clock, "later")
    assert (await known(ledger)).faults == Faults(3, refuted=2)


async def test_only_another_job_done_as_a_whole_after_a_fault_refutes_it(
    ledger: Ledger, clock: FakeClock
) -> None:
    await begin(ledger, "a")
    await begin(ledger, "beside")
    await clock.move(1)
    await ledger.release(QUEUE, ["a"], why="disk full")
    await complete(ledger, "beside")
    await begin(ledger, "failing")
    await ledger.retry(
        QUEUE, "failing", failure=letter().failure, delay=0, attempts=1, worker="d-1"
    )
    await begin(ledger, "cancelled")
    await ledger.cancel(QUEUE, "cancelled", worker="d-1")
    await begin(ledger, "running")

    assert (await known(ledger)).faults == Faults(1)


async def test_a_worker_that_was_told_to_stop_met_no_fault(ledger: Ledger) -> None:
    await begin(ledger, "a")
    await ledger.release(QUEUE, ["a"])

    assert await known(ledger) == Known("a", JobState.WAITING)


async def test_a_job_is_straight_back_from_a_fault_until_it_was_delayed(
    ledger: Ledger, clock: FakeClock
) -> None:
    await meet_fault(ledger, clock)
    assert (await known(ledger)).is_straight_back

    seq = await ledger.defer(QUEUE, "a", seq=1, delay=2.0)
    assert not (await known(ledger)).is_straight_back
    await begin(ledger, "a", seq=seq)
    await ledger.release(QUEUE, ["a"], why="disk full")

    assert (await known(ledger)).is_straight_back
