"""The parked copies: held while their job is in hand, gone when it is over, never lost between."""

import asyncio

import pytest

from consumers.broker.port import Delivery
from consumers.desk import Later
from consumers.errors import OccupiedError
from consumers.topology import NODES
from supervisor.core.records import Known
from supervisor.parking import ParkingLot, Plan
from tests.support.clocks import settle
from tests.support.offices import (
    FIRST,
    SECOND,
    a_claim,
    a_letter,
    a_result,
    an_error,
)
from tests.support.parking import EVERY, INFLIGHT, KEY, NODE, Site
from tests.support.sessions import QUEUES, a_message
from workers.messages import Adopted, Retrying, Settled

RETRY = Retrying(delay=4.0)
SOON = 1.0  # seconds, longer than the first pause


def pauses(site: Site) -> list[float]:
    """Return how long it was waited until a copy was judged again, each time."""
    return [delay for delay in site.office.clock.slept if delay < EVERY]


# --- copies ----------------------------------------------------------------------------------


async def test_a_node_is_registered_before_its_queue_is_made_and_only_then(site: Site) -> None:
    assert site.broker.diary == [
        f"declared {NODES}",
        f"published to {NODES}",
        f"declared {INFLIGHT}",
        f"consumes {INFLIGHT}",
    ]
    before = len(site.broker.diary)
    site.session.end()
    site.lot.lost()

    await site.lot.open(await site.broker.connect())

    assert site.broker.diary[before:] == [f"consumes {INFLIGHT}"]


async def test_the_copy_of_a_running_job_is_held_and_known_to_be_stored(site: Site) -> None:
    await site.run_and_park()

    known = await site.office.ledger.known(*KEY)
    assert known is not None
    assert (known.seq, known.confirmed, known.state.value) == (1, True, "active")
    assert site.held == [1]
    assert site.told == [(FIRST, Adopted(*KEY, 1))]


@pytest.mark.invariant(2)
async def test_it_is_acked_once_the_result_is_committed(site: Site) -> None:
    await site.run_and_park()

    await site.office.clerk.completed(a_result())
    await site.judged()

    assert site.held == []
    assert site.moved == []
    assert site.broker.diary[-1] == "acked"


async def test_what_is_held_is_given_back_from_time_to_time_and_comes_again(site: Site) -> None:
    await site.run_and_park()

    await site.office.clock.move(EVERY)
    await site.judged()

    assert site.broker.diary[-1] == "given back"
    assert site.held == [1]


@pytest.mark.invariant(1)
async def test_what_is_sent_back_to_its_pool_meanwhile_is_not_given_back_as_well(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.run_and_park()
    await site.office.clerk.claim(FIRST, a_claim("j2"))
    await site.park(1, job_id="j2")
    gate, requeue = asyncio.Event(), site.session.requeue

    async def slowly(delivery: Delivery) -> None:
        await gate.wait()
        await requeue(delivery)

    monkeypatch.setattr(site.session, "requeue", slowly)
    await site.office.clock.move(EVERY)
    await site.office.clerk.blamed(FIRST[0], [(KEY[0], "j2")], "killed by SIGKILL (9)")
    await site.judged()
    assert site.moved == [QUEUES.priority]
    gate.set()
    await site.judged()

    assert site.broker.diary.count("given back") == 1
    await site.office.clock.move(EVERY)
    assert site.broker.diary.count("given back") == 2


@pytest.mark.invariant(1)
async def test_the_copy_of_a_job_whose_worker_died_goes_back_to_its_pool(site: Site) -> None:
    await site.run_and_park()

    await site.office.clerk.blamed(FIRST[0], [KEY], "killed by SIGKILL (9)")
    await site.judged()

    assert site.held == []
    assert site.moved == [QUEUES.priority]
    assert site.broker.diary[-2:] == [f"published to {QUEUES.priority}", "acked"]
    verdict = await site.office.clerk.claim(SECOND, a_claim(seq=1))
    assert isinstance(verdict, Later)
    assert verdict.seq == 2


async def test_so_does_one_that_a_stopped_worker_left_behind(site: Site) -> None:
    await site.run_and_park()

    await site.office.clerk.settlements.released(FIRST)
    await site.judged()

    assert site.moved == [QUEUES.priority]


async def test_and_one_that_an_earlier_coordinator_left_behind(site: Site) -> None:
    await site.park(3, job_id="of another life")

    assert site.moved == [QUEUES.priority]
    assert site.held == []


@pytest.mark.invariant(1)
async def test_it_stays_where_it_is_while_its_pool_does_not_take_it(site: Site) -> None:
    site.broker.refusing.add(QUEUES.priority)
    await site.park(3, job_id="of another life")
    assert site.held == [3]
    assert site.session.declared == [QUEUES]

    site.broker.refusing.clear()
    await site.office.clock.move(SOON)
    await site.judged()

    assert site.moved == [QUEUES.priority]
    assert site.held == []


@pytest.mark.invariant(1)
@pytest.mark.parametrize("mood", ["refusals", "silences"])
async def test_it_is_judged_again_soon_when_the_ledger_did_not_answer(
    site: Site, mood: str
) -> None:
    clock = site.office.clock
    naps = len(clock.slept)
    setattr(site.office.ledger, mood, 2)
    site.arrive(3, job_id="of another life")
    await clock.until_asleep(naps + 1)
    await clock.move(SOON)
    await clock.until_asleep(naps + 2)
    assert (site.held, site.moved) == ([3], [])

    await clock.move(2 * SOON)
    await site.judged()

    assert (site.held, site.moved) == ([], [QUEUES.priority])
    assert pauses(site) == [0.75, 1.5]


async def test_the_end_of_a_run_is_seen_at_once_also_in_a_pause(site: Site) -> None:
    await site.run_and_park()
    site.office.ledger.silences = 1
    site.lot.review(KEY)
    await site.judged()

    await site.office.clerk.completed(a_result())
    await site.judged()

    assert (site.held, site.moved) == ([], [])
    await site.office.clock.move(SOON)
    await site.judged()
    assert site.broker.diary.count("acked") == 1


async def test_however_often_it_fails_one_copy_waits_for_one_pause(site: Site) -> None:
    await site.run_and_park()
    site.office.ledger.silences = 3
    for _ in range(3):
        site.lot.review(KEY)
    await site.judged()

    assert pauses(site) == [0.75]
    await site.office.clock.move(SOON)
    await site.judged()
    assert (site.held, pauses(site)) == ([1], [0.75])


@pytest.mark.invariant(1)
async def test_a_copy_is_judged_by_one_at_a_time_and_sent_back_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.run_and_park()
    known, looks, at_once = site.office.ledger.known, list[str](), list[int]()

    async def watched(queue: str, job_id: str) -> Known | None:
        looks.append(job_id)
        at_once.append(len(looks))
        try:
            await settle()
            return await known(queue, job_id)
        finally:
            looks.remove(job_id)

    monkeypatch.setattr(site.office.ledger, "known", watched)
    for _ in range(3):
        site.lot.review(KEY)
    await site.judged()
    assert at_once == [1, 1, 1]

    await site.office.clerk.blamed(FIRST[0], [KEY], "killed by SIGKILL (9)")
    for _ in range(2):
        site.lot.review(KEY)
    await site.judged()

    assert site.moved == [QUEUES.priority]


async def test_a_copy_that_its_pool_refuses_gives_way_to_a_newer_one(site: Site) -> None:
    site.broker.refusing.add(QUEUES.priority)
    await site.park(3, job_id="of another life")
    await site.park(4, job_id="of another life")
    assert site.held == [4]

    site.broker.refusing.clear()
    await site.office.clock.move(SOON)
    await site.judged()

    assert (site.held, site.moved) == ([], [QUEUES.priority])


async def test_nothing_is_judged_again_once_the_lot_is_closed_or_its_session_lost(
    site: Site,
) -> None:
    site.broker.refusing.add(QUEUES.priority)
    await site.park(3, job_id="of another life")
    site.broker.refusing.clear()

    await site.lot.close()
    await site.office.clock.move(EVERY - 1)
    await site.judged()

    assert (site.held, site.moved) == ([3], [])


async def test_what_waited_when_its_session_was_lost_is_judged_when_it_comes_again(
    site: Site,
) -> None:
    site.broker.refusing.add(QUEUES.priority)
    await site.park(3, job_id="of another life")
    site.session.end()
    site.lot.lost()
    site.broker.refusing.clear()
    await site.office.clock.move(SOON)
    await site.judged()
    assert site.moved == []

    site.session = await site.broker.connect()
    await site.lot.open(site.session)
    await site.judged()

    assert (site.held, site.moved) == ([], [QUEUES.priority])


@pytest.mark.invariant(1)
async def test_it_is_held_while_the_retry_of_its_job_may_not_be_stored(site: Site) -> None:
    await site.run_and_park()

    seq = await site.office.clerk.failed(an_error(retry=RETRY))
    await site.judged()
    assert (seq, site.held) == (2, [1])

    site.office.clerk.settlements.settled(FIRST, Settled(*KEY, seq=seq, has_run=True))
    await site.judged()
    assert (site.held, site.moved) == ([], [])


async def test_it_goes_back_when_the_worker_dies_before_it_stored_the_retry(site: Site) -> None:
    await site.run_and_park()
    await site.office.clerk.failed(an_error(retry=RETRY))

    await site.office.clerk.settlements.released(FIRST)
    await site.judged()

    assert site.moved == [QUEUES.priority]
    verdict = await site.office.clerk.claim(SECOND, a_claim(seq=1))
    assert isinstance(verdict, Later)
    assert (verdict.seq, verdict.attempts) == (3, 1)


async def test_a_lost_session_does_not_take_a_parked_job_from_the_worker_that_settles_it(
    site: Site,
) -> None:
    await site.run_and_park()
    await site.office.clerk.failed(an_error(retry=RETRY))

    site.office.clerk.settlements.cut_off(FIRST, 0)
    await site.judged()

    assert (site.held, site.moved) == ([1], [])


@pytest.mark.parametrize("letter_first", [True, False])
async def test_it_is_let_go_of_once_the_dead_letter_is_stored(
    site: Site,
    letter_first: bool,  # noqa: FBT001
) -> None:
    await site.run_and_park()
    await site.office.clerk.failed(an_error())
    await site.judged()
    assert site.held == [1]

    if letter_first:
        await site.office.clerk.buried(a_letter(), FIRST[0])
    else:
        site.office.clerk.settlements.settled(FIRST, Settled(*KEY, has_run=True))
    await site.judged()

    assert (site.held, site.moved) == ([], [])


async def test_of_two_copies_of_a_job_the_newer_one_is_held(site: Site) -> None:
    await site.run_and_park()

    await site.park(2)
    assert site.held == [2]
    await site.park(1)

    assert site.held == [2]


async def test_a_copy_older_than_what_runs_is_not_said_to_stand_for_it(site: Site) -> None:
    await site.office.clerk.claim(FIRST, a_claim(seq=5))

    await site.park(5)

    assert site.told == []


async def test_what_is_no_copy_of_ours_is_kept_and_comes_again(site: Site) -> None:
    site.broker.put(INFLIGHT, a_message())
    await settle()
    assert len(site.session.in_hand) == 1

    await site.office.clock.move(EVERY)
    await settle()

    assert len(site.session.in_hand) == 1
    assert "given back" in site.broker.diary
    assert site.moved == []


async def test_what_an_ended_session_delivered_comes_again_with_the_next(site: Site) -> None:
    await site.run_and_park()
    site.session.end()
    site.lot.lost()
    assert not site.lot.is_open
    await site.office.clerk.completed(a_result())

    site.session = await site.broker.connect()
    await site.lot.open(site.session)
    await site.judged()

    assert site.held == []
    assert site.broker.diary[-1] == "acked"


async def test_another_coordinator_of_that_name_is_kept_out(site: Site) -> None:
    other = ParkingLot(
        Plan(NODE, EVERY, ()),
        site.office.clerk.book,
        site.office.ledger,
        lambda *_: None,
        site.office.clock,
    )

    with pytest.raises(OccupiedError, match="another coordinator with this node id"):
        await other.open(await site.broker.connect())

    assert not other.is_open
