"""The bulletin: whoever listens hears it all, or is told how much was lost."""

import asyncio

import pytest

from supervisor import bulletin
from supervisor.bulletin import Bulletin, Tray
from supervisor.desks.events import EVERYTHING, News, Wanted
from supervisor.ports import Event
from tests.support.clocks import START, WITHIN


def event(name: str, **about: str) -> Event:
    return Event(name, START, **about)  # type: ignore[arg-type]  # fields by name, all of them text


def names(news: News | None) -> list[str]:
    assert news is not None
    return [told.name for told in news.told]


async def taken(tray: Tray) -> News | None:
    return await asyncio.wait_for(tray.take(), WITHIN)


async def key_of_the_last(news: Bulletin) -> str:
    tray = news.listen()
    news.publish(event("active"))
    heard = await taken(tray)
    assert heard is not None
    tray.leave()
    return heard.told[-1].key


async def test_every_listener_hears_what_happens_from_now_on() -> None:
    news = Bulletin()
    news.publish(event("waiting"))
    trays = [news.listen() for _ in range(2)]

    news.publish(event("active"))
    news.publish(event("completed"))

    assert [names(await taken(tray)) for tray in trays] == [["active", "completed"]] * 2


async def test_what_happens_just_before_somebody_listens_is_not_for_them() -> None:
    news = Bulletin()
    early = news.listen()
    news.publish(event("waiting"))
    late = news.listen()

    news.publish(event("active"))

    assert names(await taken(late)) == ["active"]
    assert names(await taken(early)) == ["waiting", "active"]


async def test_a_listener_waits_for_what_happens() -> None:
    news = Bulletin()
    taking = asyncio.ensure_future(news.listen().take())
    await asyncio.sleep(0)

    news.publish(event("active"))

    assert names(await asyncio.wait_for(taking, WITHIN)) == ["active"]


async def test_a_wait_that_was_broken_off_costs_no_news() -> None:
    news = Bulletin()
    tray = news.listen()
    taking = asyncio.ensure_future(tray.take())
    await asyncio.sleep(0)
    taking.cancel()

    news.publish(event("active"))

    assert names(await taken(tray)) == ["active"]


@pytest.mark.parametrize(
    ("wanted", "heard"),
    [
        (EVERYTHING, ["active", "completed", "active", "worker.crashed"]),
        (Wanted(queues=frozenset({"a"})), ["active", "completed"]),
        (Wanted(names=frozenset({"active"})), ["active", "active"]),
        (Wanted(names=frozenset({"worker.*"})), ["worker.crashed"]),
        (Wanted(jobs=frozenset({"2"}), names=frozenset({"active"})), ["active"]),
        (Wanted(roots=frozenset({"1"})), ["active", "completed", "active"]),
        (Wanted(roots=frozenset({"2"})), ["active"]),
    ],
)
async def test_a_listener_hears_what_it_wants_and_nothing_else(
    wanted: Wanted, heard: list[str]
) -> None:
    news = Bulletin()
    tray = news.listen(wanted)

    news.publish(event("active", queue="a", id="1"))
    news.publish(event("completed", queue="a", id="1"))
    news.publish(event("active", queue="b", id="2", root="1", parent="1"))
    news.publish(event("worker.crashed", worker="a-1"))

    assert names(await taken(tray)) == heard


async def test_a_listener_that_does_not_keep_up_loses_the_oldest_and_is_told_how_many() -> None:
    news = Bulletin()
    slow, quick = news.listen(backlog=3), news.listen()

    for name in "abcde":
        news.publish(event(name))

    heard = await taken(slow)
    assert heard is not None
    assert (names(heard), heard.missed) == (["c", "d", "e"], 2)
    assert names(await taken(quick)) == [*"abcde"]
    news.publish(event("f"))
    assert await taken(slow) == News((await taken(quick) or News()).told, 0)


async def test_what_a_listener_does_not_want_pushes_nothing_out() -> None:
    news = Bulletin()
    tray = news.listen(Wanted(names=frozenset({"failed"})), backlog=1)

    news.publish(event("failed"))
    for _ in range(5):
        news.publish(event("active"))

    heard = await taken(tray)
    assert heard is not None
    assert (names(heard), heard.missed) == (["failed"], 0)


async def test_whoever_comes_back_hears_what_happened_meanwhile() -> None:
    news = Bulletin()
    key = await key_of_the_last(news)
    news.publish(event("completed"))
    news.publish(event("waiting"))

    heard = await taken(news.listen(after=key))

    assert heard is not None
    assert (names(heard), heard.missed) == (["completed", "waiting"], 0)


async def test_whoever_comes_back_too_late_is_told_how_much_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulletin, "KEPT", 2)
    news = Bulletin()
    key = await key_of_the_last(news)
    for name in "abcde":
        news.publish(event(name))

    heard = await taken(news.listen(after=key))

    assert heard is not None
    assert (names(heard), heard.missed) == (["d", "e"], 3)


@pytest.mark.parametrize("key", ["f00d-1", "", "-", "nonsense", "\x00", "f00d-\u00b2"])
async def test_whoever_comes_back_from_an_earlier_life_is_told_that_nobody_knows(key: str) -> None:
    news = Bulletin()
    news.publish(event("active"))

    heard = await taken(news.listen(after=key))

    assert heard is not None
    assert (names(heard), heard.missed) == (["active"], None)


async def test_who_is_up_to_date_misses_nothing() -> None:
    news = Bulletin()
    key = await key_of_the_last(news)
    tray = news.listen(after=key)

    news.publish(event("completed"))

    assert await taken(tray) == News(tuple(news._kept)[-1:], 0)


async def test_the_end_comes_after_what_was_told() -> None:
    news = Bulletin()
    tray = news.listen()
    news.publish(event("active"))

    news.close()

    assert names(await taken(tray)) == ["active"]
    assert await taken(tray) is None
    assert news.listeners == 0


async def test_whoever_comes_after_the_end_hears_nothing_and_does_not_wait() -> None:
    news = Bulletin()
    news.close()

    assert await taken(news.listen()) is None


async def test_a_listener_that_left_is_forgotten() -> None:
    news = Bulletin()
    tray = news.listen()
    tray.leave()
    tray.leave()

    news.publish(event("active"))

    assert news.listeners == 0


async def test_no_two_events_have_the_same_key() -> None:
    keys = [await key_of_the_last(Bulletin()) for _ in range(3)]

    assert len(set(keys)) == 3
