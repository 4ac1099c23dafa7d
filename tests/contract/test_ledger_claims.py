"""What a claim is judged by: known ids, recognised redeliveries, copies and suspects."""

from datetime import timedelta

import pytest

from consumers.outcome import Failure
from supervisor.core.records import JobState, Known
from supervisor.ledger.claims import Redelivery
from supervisor.ledger.conditions import MEMORY
from supervisor.ledger.store import Ledger
from tests.support.clocks import FakeClock
from tests.support.ledgers import NODE, QUEUE, claim, letter
from tests.support.ledgers import notice as a_notice

ANONYMOUS = claim(None)


async def begin(ledger: Ledger, job_id: str, *, identified: bool = False, seq: int = 0) -> None:
    taken = claim(job_id if identified else None, seq=seq)
    assert await ledger.begin(taken, job_id=job_id, pool="download", worker="d-1", attempt=1)


async def complete(ledger: Ledger, job_id: str, *, tag: int = 0) -> None:
    assert await ledger.complete(
        QUEUE, job_id, worker="d-1", result={}, duration=1, notices=[a_notice(job_id)], tag=tag
    )


async def recognised(ledger: Ledger, *running: str) -> str | None:
    found = await ledger.recognise(Redelivery(QUEUE, ANONYMOUS.fingerprint, running=running))
    return None if found is None else found.id


async def known(ledger: Ledger, job_id: str = "a") -> Known:
    found = await ledger.known(QUEUE, job_id)
    assert found is not None
    return found


async def test_a_job_that_was_never_met_is_not_known(ledger: Ledger) -> None:
    assert await ledger.known(QUEUE, "a") is None
    assert await recognised(ledger) is None


async def test_a_job_is_known_by_its_id(ledger: Ledger) -> None:
    await begin(ledger, "a", identified=True)

    assert await known(ledger) == Known("a", JobState.ACTIVE)


async def test_what_a_dead_worker_had_in_hand_is_recognised_when_it_comes_back(
    ledger: Ledger,
) -> None:
    await begin(ledger, "a")
    await ledger.crash(QUEUE, ["a"], worker="d-1", exit="killed by SIGKILL")

    found = await ledger.recognise(Redelivery(QUEUE, ANONYMOUS.fingerprint))

    assert found is not None
    assert (found.id, found.state, found.crashes) == ("a", JobState.WAITING, 1)


async def test_a_job_with_an_id_is_never_taken_for_one_without(ledger: Ledger) -> None:
    await begin(ledger, "a", identified=True)
    await ledger.release(QUEUE, ["a"])

    assert await ledger.recognise(Redelivery(QUEUE, claim("a").fingerprint)) is None


async def test_each_job_answers_for_one_redelivery(ledger: Ledger) -> None:
    for job_id in ("a", "b"):
        await begin(ledger, job_id)
    await ledger.release(QUEUE, ["a", "b"])

    assert [await recognised(ledger) for _ in range(3)] == ["a", "b", None]


async def test_a_waiting_job_comes_before_a_finished_one_and_that_before_a_running_one(
    ledger: Ledger,
) -> None:
    for job_id in ("running", "finished", "waiting"):
        await begin(ledger, job_id)
    await complete(ledger, "finished")
    await ledger.release(QUEUE, ["waiting"])

    answers = [await recognised(ledger, "running") for _ in range(4)]

    assert answers == ["waiting", "finished", "running", None]


async def test_a_running_job_is_not_taken_for_another_message_of_the_same_words(
    ledger: Ledger,
) -> None:
    await begin(ledger, "a")

    assert await recognised(ledger) is None
    assert await recognised(ledger, "b") is None
    assert await recognised(ledger, "a") == "a"


async def test_a_job_whose_message_was_acked_is_owed_nothing(ledger: Ledger) -> None:
    await begin(ledger, "a")
    await complete(ledger, "a")

    await ledger.settle(QUEUE, "a", is_nameless=True)

    assert await recognised(ledger) is None


async def test_a_finished_job_of_which_nobody_knows_whether_it_was_acked_is_owed_nothing(
    ledger: Ledger,
) -> None:
    """What comes may be another of its words: to do one twice is better than to lose one."""
    await begin(ledger, "a")
    await complete(ledger, "a")

    await ledger.doubt(QUEUE, "a")

    assert await recognised(ledger) is None


async def test_an_order_that_its_worker_perhaps_never_obeyed_is_recognised_again(
    ledger: Ledger,
) -> None:
    await begin(ledger, "a")
    await ledger.crash(QUEUE, ["a"], worker="d-1", exit="killed by SIGKILL")
    assert await recognised(ledger) == "a"
    await ledger.defer(QUEUE, "a", seq=1, delay=4)
    assert await recognised(ledger) == "a"

    await ledger.doubt(QUEUE, "a")

    assert await recognised(ledger) == "a"


async def test_what_answers_for_a_redelivery_already_is_not_owed_another(ledger: Ledger) -> None:
    await begin(ledger, "a")
    await complete(ledger, "a")
    assert await recognised(ledger) == "a"

    await ledger.owe(QUEUE, "a")

    assert await recognised(ledger) is None


async def test_a_message_is_not_taken_for_a_job_that_it_surely_is_not(ledger: Ledger) -> None:
    for job in ("a", "b"):
        await begin(ledger, job)
    await ledger.release(QUEUE, ["a", "b"])
    told = Redelivery(QUEUE, ANONYMOUS.fingerprint, others=["a"])

    first, second = await ledger.recognise(told), await ledger.recognise(told)

    assert first is not None
    assert (first.id, second) == ("b", None)


async def test_an_embedded_message_that_went_with_the_outcome_is_owed_nothing(
    ledger: Ledger,
) -> None:
    await begin(ledger, "a")

    await complete(ledger, "a", tag=7)

    assert await recognised(ledger) is None


@pytest.mark.parametrize("again", ["crash", "release", "defer"])
async def test_a_recognised_job_is_recognised_again_once_its_message_may_come_again(
    ledger: Ledger, again: str
) -> None:
    await begin(ledger, "a")
    await ledger.release(QUEUE, ["a"])
    assert await recognised(ledger) == "a"
    await begin(ledger, "a")

    match again:
        case "crash":
            await ledger.crash(QUEUE, ["a"], worker="d-1", exit="exit code 1")
        case "release":
            await ledger.release(QUEUE, ["a"])
        case _:
            await ledger.defer(QUEUE, "a", seq=1, delay=4)

    assert await recognised(ledger) == "a"


async def test_a_running_job_that_was_adopted_can_lose_its_connection_again(
    ledger: Ledger,
) -> None:
    await begin(ledger, "a")
    assert await recognised(ledger, "a") == "a"
    assert await recognised(ledger, "a") is None

    await begin(ledger, "a")

    assert await recognised(ledger, "a") == "a"


async def test_after_a_day_nothing_is_recognised(ledger: Ledger, clock: FakeClock) -> None:
    await begin(ledger, "a")
    await ledger.release(QUEUE, ["a"])

    clock.advance((MEMORY + timedelta(seconds=1)).total_seconds())

    assert await recognised(ledger) is None


async def test_a_retried_job_is_recognised_until_its_message_is_acked(ledger: Ledger) -> None:
    await begin(ledger, "a")
    failure = letter().failure
    seq, _ = await ledger.retry(QUEUE, "a", failure=failure, delay=1, attempts=1, worker="d-1")
    assert await recognised(ledger) == "a"
    assert not (await known(ledger)).confirmed

    await ledger.settle(QUEUE, "a", seq=seq, is_nameless=True)

    assert (await known(ledger)).confirmed
    assert await recognised(ledger) is None


@pytest.mark.parametrize("is_acked", [True, False])
async def test_the_original_of_a_running_copy_is_recognised_unless_it_was_acked(
    ledger: Ledger, *, is_acked: bool
) -> None:
    await begin(ledger, "a")
    failure = letter().failure
    seq, _ = await ledger.retry(QUEUE, "a", failure=failure, delay=0, attempts=1, worker="d-1")
    if is_acked:
        await ledger.settle(QUEUE, "a", seq=seq, is_nameless=True)
    else:
        await ledger.owe(QUEUE, "a")

    await begin(ledger, "a", identified=True, seq=seq)
    await ledger.settle(QUEUE, "a", seq=seq)  # the copy

    answers = [await recognised(ledger) for _ in range(2)]
    assert answers == ([None, None] if is_acked else ["a", None])


async def test_a_copy_that_arrives_was_stored(ledger: Ledger) -> None:
    await begin(ledger, "a")
    await ledger.defer(QUEUE, "a", seq=1, delay=0)
    assert not (await known(ledger)).confirmed

    await begin(ledger, "a", identified=True, seq=1)

    assert (await known(ledger)).confirmed
    assert (await known(ledger)).seq == 1


async def test_an_older_copy_does_not_turn_the_number_back(ledger: Ledger) -> None:
    await begin(ledger, "a", identified=True, seq=2)
    await ledger.defer(QUEUE, "a", seq=3, delay=0)

    await begin(ledger, "a", identified=True, seq=2)

    assert ((await known(ledger)).seq, (await known(ledger)).confirmed) == (3, False)


async def test_a_suspect_is_cleared_by_its_delay_until_it_crashes_again(ledger: Ledger) -> None:
    await begin(ledger, "a")
    await ledger.crash(QUEUE, ["a"], worker="d-1", exit="exit code 1")
    assert not (await known(ledger)).suspect_cleared

    await ledger.defer(QUEUE, "a", seq=1, delay=4)
    assert (await known(ledger)).suspect_cleared
    assert (await known(ledger)).state is JobState.DELAYED

    await begin(ledger, "a", identified=True, seq=1)
    await ledger.crash(QUEUE, ["a"], worker="d-1", exit="exit code 1")
    assert not (await known(ledger)).suspect_cleared


async def test_a_job_that_is_moved_aside_before_it_ever_ran_is_known(ledger: Ledger) -> None:
    assert await ledger.admit(ANONYMOUS, job_id="a", pool="download")
    assert not await ledger.admit(ANONYMOUS, job_id="a", pool="download")

    assert await ledger.defer(QUEUE, "a", seq=1, delay=0)

    found = await known(ledger)
    assert (found.state, found.seq, found.suspect_cleared) == (JobState.WAITING, 1, False)
    assert await recognised(ledger) == "a"


async def test_an_unknown_job_cannot_be_deferred(ledger: Ledger) -> None:
    assert not await ledger.defer(QUEUE, "a", seq=1, delay=0)


async def test_after_a_restart_what_was_in_hand_waits_unblamed(
    ledger: Ledger, ledger_url: str, clock: FakeClock
) -> None:
    await begin(ledger, "a")
    await ledger.close()

    following = await Ledger.open(ledger_url, clock=clock, node=NODE)

    try:
        assert await known(following) == Known("a", JobState.WAITING)
        record = await following.show("a")
        assert record is not None
        assert record.history[0].code == "interrupted"
        assert await recognised(following) == "a"
    finally:
        await following.close()


@pytest.mark.parametrize(("is_owed", "answer"), [(True, "a"), (False, None)])
async def test_after_a_restart_a_finished_job_is_known_if_it_was_surely_not_acked(
    ledger: Ledger, ledger_url: str, clock: FakeClock, *, is_owed: bool, answer: str | None
) -> None:
    await begin(ledger, "a")
    await complete(ledger, "a")
    if is_owed:
        await ledger.owe(QUEUE, "a")
    await ledger.close()

    following = await Ledger.open(ledger_url, clock=clock, node=NODE)

    try:
        assert [await recognised(following) for _ in range(2)] == [answer, None]
    finally:
        await following.close()


async def test_a_job_is_known_to_be_given_up_until_its_dead_letter_is_recorded(
    ledger: Ledger,
) -> None:
    await begin(ledger, "a", identified=True)
    failure = Failure("gone", code="not_found", permanent=True)

    await ledger.give_up(QUEUE, "a", failure=failure, attempts=1, worker="d-1")

    assert (await known(ledger)).given_up == failure
