"""Grants that the ledger refuses: a job was ended in the moment a worker got it."""

import asyncio
from functools import partial

import pytest

from consumers.desk import Run
from supervisor.arbiter import STOPPING
from supervisor.core.records import JobState
from supervisor.ledger import withdrawals
from supervisor.ledger.store import Ledger
from tests.support.clocks import settle
from tests.support.offices import FIRST, a_claim, an_error
from tests.support.sessions import QUEUES
from tests.support.steering import Bridge, bridge
from workers import messages

__all__ = ["bridge"]

KEY = (QUEUES.public, "j1")


@pytest.mark.invariant(15)
async def test_a_run_that_was_granted_and_could_not_begin_is_stopped(bridge: Bridge) -> None:
    """Its job was ended in that moment: what it brings is not recorded."""
    await bridge.enter()
    bridge.office.ledger.gate = asyncio.Event()
    verdict = await bridge.office.clerk.claim(FIRST, a_claim())
    await settle()
    off = partial(withdrawals.call_off, queue=KEY[0], job_id=KEY[1], state=JobState.REMOVED)
    now = bridge.office.clock.utcnow()
    assert await Ledger.write(bridge.office.ledger, partial(off, now=now))
    bridge.office.ledger.gate.set()
    order = await bridge.line.next()
    await bridge.office.clerk.failed(an_error(cancelled=True))

    assert isinstance(verdict, Run)
    assert order == messages.Cancel(*KEY, grace=STOPPING)
    assert (await bridge.office.record()).state is JobState.REMOVED
    assert bridge.office.told == ["waiting"]
