"""Sessions that workers lose, by their numbers, and how workers are asked for those they have."""

import asyncio

import pytest

from consumers.desk import Drop, Run
from tests.support.clocks import START, WITHIN
from tests.support.offices import FIRST, SECOND, Office, a_claim, a_result
from tests.support.switchboards import Exchange, exchange_of_one
from workers import messages

__all__ = ["exchange_of_one"]
pytestmark = pytest.mark.invariant(1)


async def test_a_session_that_is_lost_cuts_off_what_it_had_brought(
    exchange: Exchange, office: Office
) -> None:
    anonymous = a_claim(None, session=3)
    run = await exchange.ask(messages.Claiming(call=1, claim=anonymous))
    assert isinstance(run, messages.Judged)
    exchange.board.hear(FIRST, messages.SessionLost(3))
    again = office.clerk.claim(SECOND, a_claim(None, redelivered=True))
    waits = asyncio.ensure_future(again)
    assert await office.stays_waiting(waits)

    await exchange.ask(a_result(run.verdict.job_id, call=2))

    assert await asyncio.wait_for(waits, WITHIN) == Drop(run.verdict.job_id, "settled")


async def test_what_the_next_session_brings_is_not_cut_off_with_the_last(
    exchange: Exchange, office: Office
) -> None:
    """A worker says that it consumes when all is open again; the first jobs come before that."""
    exchange.board.hear(FIRST, messages.SessionLost(3))
    run = await exchange.ask(messages.Claiming(call=1, claim=a_claim(None, session=4)))
    assert isinstance(run, messages.Judged)
    exchange.board.hear(FIRST, messages.Heartbeat(FIRST[0], START, consuming=False))

    twin = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(None, redelivered=True)))
    probe = await exchange.line.next()
    assert isinstance(probe, messages.Probe)
    exchange.board.hear(FIRST, messages.Probed(probe.call, is_alive=True))

    verdict = await asyncio.wait_for(twin, WITHIN)
    assert isinstance(verdict, Run)
    assert verdict.job_id != run.verdict.job_id


async def test_a_claim_that_is_heard_after_its_session_was_lost_comes_again(
    exchange: Exchange, office: Office
) -> None:
    exchange.board.hear(FIRST, messages.SessionLost(3))
    run = await exchange.ask(messages.Claiming(call=1, claim=a_claim(None, session=3)))
    assert isinstance(run, messages.Judged)
    await exchange.ask(a_result(run.verdict.job_id, call=2))

    again = office.clerk.claim(SECOND, a_claim(None, redelivered=True))

    assert await asyncio.wait_for(again, WITHIN) == Drop(run.verdict.job_id, "settled")


async def test_a_worker_is_asked_whether_the_broker_knows_its_session(
    exchange: Exchange, office: Office
) -> None:
    asking = asyncio.ensure_future(office.clerk.probes.is_alive(FIRST))
    asked = await exchange.line.next()
    assert isinstance(asked, messages.Probe)

    exchange.board.hear(FIRST, messages.Probed(asked.call, is_alive=True))

    assert await asking


async def test_a_worker_that_is_gone_or_goes_knows_no_session(
    exchange: Exchange, office: Office
) -> None:
    asking = asyncio.ensure_future(office.clerk.probes.is_alive(FIRST))
    await exchange.line.next()

    exchange.board.disconnect(FIRST)

    assert not await asking
    assert not await office.clerk.probes.is_alive(FIRST)
