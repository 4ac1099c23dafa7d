"""The pipe: whole messages in order, nothing lost, nobody starved."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import msgspec
import pytest

from workers.messages import FRAME_LIMIT, FromWorker, Heartbeat, Noted, Settled, ToWorker
from workers.pipe import HEADER, HIGH_WATER, Complaint, FrameTooLargeError, Pipe

WITHIN = 10.0  # seconds
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class End:
    """One end of a pipe with what it heard."""

    def __init__(self, incoming: object) -> None:
        self.heard: list[msgspec.Struct] = []
        self.complaints: list[Complaint] = []
        self.ended = asyncio.Event()
        self.news = asyncio.Event()
        self.pipe: Pipe[msgspec.Struct] = Pipe(
            incoming, self._receive, self.ended.set, self._complain
        )

    def _receive(self, message: msgspec.Struct) -> None:
        self.heard.append(message)
        self.news.set()

    def _complain(self, complaint: Complaint) -> None:
        self.complaints.append(complaint)
        self.news.set()

    async def until(self, is_over: Callable[[], object]) -> None:
        """Wait for news until a condition holds."""
        async with asyncio.timeout(WITHIN):
            while not is_over():
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    """A coordinator's end and a worker's end, connected."""
    ours, theirs = socket.socketpair()
    coordinator, worker = End(FromWorker), End(ToWorker)
    await coordinator.pipe.connect(ours)
    await worker.pipe.connect(theirs)
    yield coordinator, worker
    coordinator.pipe.abort()
    worker.pipe.abort()


@pytest.fixture
async def raw() -> AsyncIterator[tuple[End, socket.socket]]:
    """A coordinator's end, and the bare socket at the other."""
    ours, theirs = socket.socketpair()
    coordinator = End(FromWorker)
    await coordinator.pipe.connect(ours)
    with theirs:
        yield coordinator, theirs
    coordinator.pipe.abort()


def settled(job: int) -> Settled:
    return Settled(queue_name="q", job_id=str(job))


def framed(message: msgspec.Struct) -> bytes:
    body = msgspec.json.encode(message)
    return HEADER.pack(len(body)) + body


async def test_messages_arrive_whole_and_in_order_both_ways(ends: tuple[End, End]) -> None:
    coordinator, worker = ends
    said = [settled(number) for number in range(1000)]

    for message in said:
        worker.pipe.send(message)
    coordinator.pipe.send(Noted(call=3))
    await coordinator.until(lambda: len(coordinator.heard) == 1000)
    await worker.until(lambda: worker.heard)

    assert coordinator.heard == said
    assert worker.heard == [Noted(call=3)]


@pytest.mark.invariant(9)
async def test_sending_never_waits_and_loses_nothing_on_a_slow_peer(ends: tuple[End, End]) -> None:
    coordinator, worker = ends
    coordinator.pipe.pause()
    said = [settled(number) for number in range(50_000)]

    for message in said:
        worker.pipe.send(message)

    assert worker.pipe.is_congested
    coordinator.pipe.resume()
    await coordinator.until(lambda: len(coordinator.heard) == len(said))
    assert coordinator.heard == said
    assert not worker.pipe.is_congested


async def test_of_what_ages_only_the_newest_waits_for_a_slow_peer(ends: tuple[End, End]) -> None:
    coordinator, worker = ends
    coordinator.pipe.pause()
    while not worker.pipe.is_congested:
        worker.pipe.send(settled(0))

    for number in range(100):
        worker.pipe.send_latest(
            "heartbeat", Heartbeat(worker_id="w", timestamp=MOMENT, jobs=number)
        )
    coordinator.pipe.resume()
    await coordinator.until(lambda: beats(coordinator))

    assert beats(coordinator) == [99]


def beats(end: End) -> list[int]:
    return [message.jobs for message in end.heard if isinstance(message, Heartbeat)]


async def test_what_ages_is_sent_at_once_to_a_quick_peer(ends: tuple[End, End]) -> None:
    coordinator, worker = ends

    for number in range(3):
        worker.pipe.send_latest(
            "heartbeat", Heartbeat(worker_id="w", timestamp=MOMENT, jobs=number)
        )
    await coordinator.until(lambda: len(coordinator.heard) == 3)

    assert beats(coordinator) == [0, 1, 2]


async def test_a_message_over_the_limit_is_refused_and_the_pipe_goes_on(
    ends: tuple[End, End],
) -> None:
    coordinator, worker = ends

    with pytest.raises(FrameTooLargeError, match="put large data in a file"):
        worker.pipe.send(Settled(queue_name="x" * FRAME_LIMIT, job_id="1"))
    assert worker.pipe.refused_frames == 1
    worker.pipe.send(settled(2))

    await coordinator.until(lambda: coordinator.heard)
    assert coordinator.heard == [settled(2)]


async def test_a_message_close_to_the_limit_passes(ends: tuple[End, End]) -> None:
    coordinator, worker = ends
    large = Settled(queue_name="x" * (FRAME_LIMIT - 100), job_id="1")

    worker.pipe.send(large)
    await coordinator.until(lambda: coordinator.heard)

    assert coordinator.heard == [large]


async def test_half_a_frame_at_the_end_is_dropped(raw: tuple[End, socket.socket]) -> None:
    coordinator, other = raw

    other.sendall(framed(settled(1)) + framed(settled(2))[:-3])
    other.close()
    async with asyncio.timeout(WITHIN):
        await coordinator.ended.wait()

    assert coordinator.heard == [settled(1)]
    assert coordinator.complaints == []


async def test_a_frame_in_pieces_is_put_together(raw: tuple[End, socket.socket]) -> None:
    coordinator, other = raw

    for byte in framed(settled(1)):
        other.sendall(bytes([byte]))
        await asyncio.sleep(0)
    await coordinator.until(lambda: coordinator.heard)

    assert coordinator.heard == [settled(1)]


async def test_a_frame_that_makes_no_sense_is_reported_and_passed_over(
    raw: tuple[End, socket.socket],
) -> None:
    coordinator, other = raw

    other.sendall(HEADER.pack(7) + b"rubbish" + framed(Noted(call=1)) + framed(settled(2)))
    await coordinator.until(lambda: coordinator.heard)

    assert coordinator.heard == [settled(2)]
    told = [(complaint.count, complaint.is_final) for complaint in coordinator.complaints]
    assert told == [(1, False), (2, False)]


async def test_what_makes_no_sense_is_named_without_its_words(
    raw: tuple[End, socket.socket],
) -> None:
    coordinator, other = raw
    told = b"amqp://user:hunter2@"

    other.sendall(HEADER.pack(len(told)) + told + framed(settled(1)))
    await coordinator.until(lambda: coordinator.heard)

    assert "hunter2" not in coordinator.complaints[0].why
    assert f"(in {len(told)} bytes)" in coordinator.complaints[0].why


async def test_words_wait_until_they_are_taken(raw: tuple[End, socket.socket]) -> None:
    coordinator, other = raw
    assert not coordinator.pipe.has_waiting

    other.sendall(framed(settled(1)))
    assert coordinator.pipe.has_waiting
    coordinator.pipe.pause()
    assert not coordinator.pipe.has_waiting  # that is on purpose
    coordinator.pipe.resume()
    await coordinator.until(lambda: coordinator.heard)

    assert not coordinator.pipe.has_waiting
    assert coordinator.pipe.frames == 1


async def test_a_frame_over_the_limit_condemns_the_pipe(raw: tuple[End, socket.socket]) -> None:
    coordinator, other = raw

    other.sendall(framed(settled(1)) + HEADER.pack(FRAME_LIMIT + 1))
    async with asyncio.timeout(WITHIN):
        await coordinator.ended.wait()

    assert coordinator.heard == [settled(1)]
    (complaint,) = coordinator.complaints
    assert complaint.is_final
    assert complaint.why == "a frame of 33,554,433 bytes is over the limit of 33,554,432"


async def test_what_the_peer_said_is_heard_although_our_words_no_longer_reach_it(
    raw: tuple[End, socket.socket],
) -> None:
    coordinator, other = raw
    coordinator.pipe.pause()
    coordinator.pipe.send(Noted(call=1))  # never read, which makes the end a reset
    other.sendall(framed(settled(1)))
    other.close()

    coordinator.pipe.send(Noted(call=2))
    coordinator.pipe.resume()
    async with asyncio.timeout(WITHIN):
        await coordinator.ended.wait()

    assert coordinator.heard == [settled(1)]


@pytest.mark.invariant(9)
async def test_one_turn_of_the_loop_takes_only_some_of_a_flood(
    raw: tuple[End, socket.socket],
) -> None:
    coordinator, other = raw
    other.sendall(framed(settled(1)) * 1000)
    most, before = 0, 0

    while len(coordinator.heard) < 1000:
        await asyncio.sleep(0)
        most, before = max(most, len(coordinator.heard) - before), len(coordinator.heard)

    assert most <= 64


async def test_closing_waits_until_all_is_on_its_way(ends: tuple[End, End]) -> None:
    coordinator, worker = ends
    large = Settled(queue_name="x" * HIGH_WATER * 20, job_id="1")
    worker.pipe.send(large)

    async with asyncio.timeout(WITHIN):
        await worker.pipe.close()
        await coordinator.ended.wait()

    assert coordinator.heard == [large]


async def test_an_end_is_told_once_and_after_it_messages_go_nowhere(ends: tuple[End, End]) -> None:
    coordinator, worker = ends

    worker.pipe.abort()
    worker.pipe.abort()
    async with asyncio.timeout(WITHIN):
        await coordinator.ended.wait()
    coordinator.pipe.send(Noted(call=1))
    await coordinator.pipe.close()

    assert worker.heard == []
