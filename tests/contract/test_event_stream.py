"""Events over HTTP as many clients hear them: chosen, resumed, slow, idle, and gone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from consumers.jobs import Priority
from supervisor.api.server import ApiServer
from supervisor.bulletin import BACKLOG
from supervisor.client import Client
from supervisor.core.records import JobRecord, JobState, Relative
from supervisor.desks.events import Wanted
from supervisor.ports import Event
from tests.support.control import NOW, FakeControl

WITHIN = 10.0
MANY = 300


@dataclass
class Follower:
    """A client without any library that reads when it is told to."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: bytes = b""

    async def until(self, mark: str) -> str:
        """Return what comes up to a mark and with it."""
        async with asyncio.timeout(WITHIN):
            while mark.encode() not in self.heard:
                came = await self.reader.read(2**16)
                assert came, self.heard[-500:]
                self.heard += came
        said, _, self.heard = self.heard.partition(mark.encode())
        return said.decode() + mark

    @property
    def is_full(self) -> bool:
        """Whether so much came unread that nothing more is taken from the socket."""
        assert isinstance(self.writer.transport, asyncio.Transport)
        return not self.writer.transport.is_reading()

    def leave(self) -> None:
        self.writer.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "s.sock"


@pytest.fixture
async def control(path: Path) -> AsyncIterator[FakeControl]:
    """A coordinator whose API is open."""
    control = FakeControl()
    server = ApiServer(control, path)
    await server.start()
    yield control
    await server.stop()


async def follow(path: Path, query: str = "", **headers: str) -> Follower:
    """Ask for events; returns when it is connected."""
    follower = Follower(*await asyncio.open_unix_connection(str(path)))
    said = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    request = f"GET /api/events{query} HTTP/1.1\r\nHost: s\r\n{said}\r\n"
    follower.writer.write(request.encode())
    await follower.until(": connected\n\n")
    return follower


async def gone(control: FakeControl) -> None:
    """Return when nobody listens any more."""
    async with asyncio.timeout(WITHIN):
        while control.bulletin.listeners:  # noqa: ASYNC110 - the other side is a socket
            await asyncio.sleep(0.01)


def event(name: str, job: str = "", **data: object) -> Event:
    return Event(name, NOW, queue="download_queue", id=job, data=data)


async def test_events_are_chosen_by_queue_name_and_job(control: FakeControl, path: Path) -> None:
    one = await follow(path, "?name=completed&name=failed&job=7&queue=download_queue")

    control.say(event("active", "7"))
    control.say(event("completed", "8"))
    control.say(event("completed", "7"))

    assert '"id":"7"' in await one.until("}\n\n")
    assert control.bulletin.listeners == 1
    one.leave()
    await gone(control)


async def test_any_job_of_a_chain_chooses_all_that_happens_to_it(
    control: FakeControl, path: Path
) -> None:
    root = Relative("download_queue", "film")
    piece = JobRecord("p1", "cutter", "q", JobState.ACTIVE, Priority.NORMAL, {}, root=root)
    control.known["p1"] = piece
    one, other = await follow(path, "?root=p1"), await follow(path, "?root=not-yet")

    control.say(event("completed", "alone"))
    control.say(event("completed", "film"))
    control.say(Event("active", NOW, queue="q", id="p2", root="film", parent="film"))
    control.say(event("waiting", "not-yet"))

    assert '"id":"film"' in await one.until("}\n\n")
    assert '"id":"p2","root":"film","parent":"film"' in await one.until("}\n\n")
    assert '"id":"not-yet"' in await other.until("}\n\n")
    for each in (one, other):
        each.leave()


async def test_a_name_that_no_event_has_is_refused(control: FakeControl, path: Path) -> None:
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport, base_url="http://s") as client:
        answer = await client.get("/api/events?name=complete")

    assert answer.status_code == 422
    assert "there is no event 'complete'; there are waiting" in answer.json()["detail"]
    assert control.bulletin.listeners == 0


async def test_a_client_that_comes_back_is_told_what_happened_meanwhile(
    control: FakeControl, path: Path
) -> None:
    one = await follow(path)
    control.say(event("waiting", "1"))
    key = (await one.until("\n\n")).partition("id: ")[2].partition("\n")[0]
    one.leave()
    control.say(event("active", "1"))
    control.say(event("completed", "1"))

    again = await follow(path, Last_Event_ID=key)

    said = await again.until('"name":"completed"')
    assert "event: missed" not in said
    assert said.index("event: active") < said.index("event: completed")
    again.leave()


async def test_a_client_from_an_earlier_life_is_told_that_it_missed_something(
    control: FakeControl, path: Path
) -> None:
    one = await follow(path, Last_Event_ID="0123456789ab-17")

    assert 'event: missed\ndata: {"missed":null}\n\n' in await one.until("\n\n")
    one.leave()


async def test_a_slow_reader_loses_the_oldest_is_told_how_many_and_holds_nobody_up(
    control: FakeControl, path: Path
) -> None:
    slow, quick = await follow(path), await follow(path)

    # Far more than the sockets between us take: what is left waits in the tray, and gives way.
    for number in range(8):
        for _ in range(BACKLOG // 2):
            control.say(event("progress", "1", note="x" * 900))
        control.say(event("active", f"turn {number}"))
        await quick.until(f'"turn {number}"')
    control.say(event("completed", "last"))

    await quick.until('"last"')
    await slow.until("event: missed\ndata: ")
    assert int((await slow.until("}")).strip('{}"').rpartition(":")[2]) >= BACKLOG
    await slow.until('"last"')
    for each in (slow, quick):
        each.leave()
    await gone(control)


@pytest.mark.timeout(60)
async def test_hundreds_of_idle_clients_leave_nothing_behind(
    control: FakeControl, path: Path
) -> None:
    before = len(asyncio.all_tasks())
    clients = [await follow(path, f"?job={number}") for number in range(MANY)]
    assert control.bulletin.listeners == MANY

    for number in range(MANY):
        control.say(event("completed", str(number)))
    for number, one in enumerate(clients):
        assert f'"id":"{number}"' in await one.until("}\n\n")
    for one in clients:
        one.leave()
    await gone(control)

    async with asyncio.timeout(WITHIN):
        while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - the other side is a socket
            await asyncio.sleep(0.01)


async def test_clients_that_never_read_do_not_hold_up_a_stop(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control = FakeControl()
    server = ApiServer(control, path)
    await server.start()
    clients = [await follow(path) for _ in range(10)]
    for _ in range(3 * BACKLOG):
        control.say(event("progress", note="x" * 900))
    async with asyncio.timeout(WITHIN):
        while not all(one.is_full for one in clients):  # noqa: ASYNC110 - the other side is a socket
            await asyncio.sleep(0.01)

    await asyncio.wait_for(server.stop(), WITHIN)

    assert "Traceback" not in caplog.text
    for one in clients:
        one.leave()
    assert control.bulletin.listeners == 0


async def test_the_client_hears_what_it_asks_for_and_how_much_it_missed(
    control: FakeControl, path: Path
) -> None:
    lost: list[int | None] = []
    wanted = Wanted(names=frozenset({"completed"}))

    def listen() -> list[Event]:
        with Client(path) as client:
            return list(client.events(wanted, connected=tell, missed=lost.append))

    def tell() -> None:
        assert control.heard_on is not None
        control.heard_on.call_soon_threadsafe(tell_at_once)

    def tell_at_once() -> None:
        for number in range(BACKLOG + 7):
            note = "\u2028 is no end of a line"
            control.bulletin.publish(event("completed", str(number), note=note))
        control.bulletin.close()

    heard = await asyncio.to_thread(listen)

    assert len(heard) == BACKLOG
    assert lost == [7]
    assert heard[-1] == event("completed", str(BACKLOG + 6), note="\u2028 is no end of a line")
