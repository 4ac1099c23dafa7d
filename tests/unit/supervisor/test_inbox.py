"""The inbox and the bulletin: nothing lost, nobody held up."""

import asyncio
import socket
import time

import pytest
import uvloop

from supervisor import bulletin
from supervisor.bulletin import Bulletin
from supervisor.core.events import Event as CoreEvent
from supervisor.core.events import Ready, StopAsked, Ticked
from supervisor.inbox import Inbox
from supervisor.ports import Event
from tests.support.clocks import START, WITHIN, settle


def event(name: str) -> Event:
    return Event(name, START)


async def heard(by: "asyncio.Future[list[str]]") -> list[str]:
    return await asyncio.wait_for(by, WITHIN)


async def listen(to: Bulletin) -> list[str]:
    return [event.name async for event in to.listen()]


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


async def test_every_listener_hears_what_happens_from_now_on() -> None:
    news = Bulletin()
    news.publish(event("before"))
    listeners = [asyncio.ensure_future(listen(news)) for _ in range(2)]
    await settle()

    news.publish(event("active"))
    news.publish(event("completed"))
    news.close()

    assert [await heard(one) for one in listeners] == [["active", "completed"]] * 2


async def test_a_listener_that_does_not_keep_up_loses_the_oldest_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulletin, "BACKLOG", 3)
    news = Bulletin()
    listener = asyncio.ensure_future(listen(news))
    await settle()

    for name in "abcde":
        news.publish(event(name))
    news.close()

    assert await heard(listener) == ["d", "e"]


async def test_whoever_comes_after_the_end_hears_nothing_and_does_not_wait() -> None:
    news = Bulletin()
    news.close()

    assert await asyncio.wait_for(listen(news), WITHIN) == []


async def test_a_listener_that_left_is_forgotten() -> None:
    news = Bulletin()
    listener = asyncio.ensure_future(listen(news))
    await settle()
    listener.cancel()
    await settle()

    news.publish(event("active"))

    assert listener.cancelled()
