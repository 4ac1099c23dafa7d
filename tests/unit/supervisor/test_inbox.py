"""The inbox: nothing lost, nobody held up."""

import asyncio
import socket
import time

import uvloop

from supervisor.core.events import Event as CoreEvent
from supervisor.core.events import Ready, StopAsked, Ticked
from supervisor.inbox import Inbox
from tests.support.clocks import WITHIN, settle


async def test_events_are_taken_in_the_order_they_came() -> None:
    inbox = Inbox()
    inbox.put(StopAsked())
    inbox.put(Ready("download-1", 1))

    assert [await inbox.take(within=None) for _ in range(2)] == [
        StopAsked(),
        Ready("download-1", 1),
    ]


async def test_time_passes_when_nothing_else_happens() -> None:
    assert await Inbox().take(within=0.0) == Ticked()


async def test_an_event_goes_before_time_even_if_both_are_due() -> None:
    inbox = Inbox()
    inbox.put(StopAsked())

    assert await inbox.take(within=0.0) == StopAsked()


async def test_an_event_that_comes_with_the_deadline_is_not_overtaken_by_it() -> None:
    inbox = Inbox()
    taking = asyncio.ensure_future(inbox.take(within=0.0))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(inbox.put, StopAsked())

    assert await asyncio.wait_for(taking, WITHIN) == StopAsked()


def test_what_lies_in_a_socket_after_a_pause_goes_before_time() -> None:
    """Uvloop runs timers before it reads sockets: a suspended machine would look like a hang."""

    async def pause() -> CoreEvent:
        inbox = Inbox()
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()

        def read() -> None:
            ours.recv(1)
            inbox.put(StopAsked())

        loop.add_reader(ours, read)
        taking = asyncio.ensure_future(inbox.take(within=0.01))
        await asyncio.sleep(0)
        theirs.send(b"!")
        blocked_until = time.monotonic() + 0.03
        while time.monotonic() < blocked_until:
            pass
        event = await taking
        loop.remove_reader(ours)
        ours.close()
        theirs.close()
        return event

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(pause()) == StopAsked()


async def test_whoever_waits_gets_the_event_when_it_comes() -> None:
    inbox = Inbox()
    taking = asyncio.ensure_future(inbox.take(within=None))
    await settle()

    inbox.put(StopAsked())

    assert await asyncio.wait_for(taking, WITHIN) == StopAsked()
