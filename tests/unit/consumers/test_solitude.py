"""Jobs run together, a suspect alone and before others."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from consumers.solitude import Solitude
from tests.support.clocks import settle


@dataclass
class Room:
    """Jobs that run in one worker until the test lets them end."""

    solitude: Solitude = field(default_factory=Solitude)
    running: dict[str, asyncio.Event] = field(default_factory=dict)
    began: list[str] = field(default_factory=list)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def come(self, *names: str) -> None:
        """Let jobs come; those written in capitals are suspects."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._run(name))
        await settle()

    async def end(self, *names: str) -> None:
        for name in names:
            self.running[name].set()
        await settle()

    async def _run(self, name: str) -> None:
        with self.solitude.place(alone=name.isupper()) as turn:
            await turn()
            self.began.append(name)
            self.running[name] = asyncio.Event()
            try:
                await self.running[name].wait()
            finally:
                del self.running[name]

    async def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.wait(self.tasks.values())


async def test_jobs_run_together() -> None:
    room = Room()

    await room.come("a", "b", "c")

    assert set(room.running) == {"a", "b", "c"}
    await room.close()


async def test_a_suspect_waits_for_those_who_run_and_nobody_begins_before_it_has_ended() -> None:
    room = Room()
    await room.come("a", "b", "X", "c")
    assert set(room.running) == {"a", "b"}

    await room.end("a")
    assert set(room.running) == {"b"}
    await room.end("b")
    assert set(room.running) == {"X"}
    await room.come("d")
    assert set(room.running) == {"X"}
    await room.end("X")

    assert set(room.running) == {"c", "d"}
    await room.close()


async def test_suspects_run_one_after_the_other_in_the_order_they_came() -> None:
    room = Room()
    await room.come("a", "X", "b", "Y", "Z")

    for name in ("a", "X", "Y", "Z"):
        assert list(room.running) == [name]
        await room.end(name)

    assert room.began == ["a", "X", "Y", "Z", "b"]
    await room.close()


async def test_a_suspect_that_is_broken_off_while_it_waits_keeps_nobody_waiting() -> None:
    room = Room()
    await room.come("a", "X", "b", "Y")

    room.tasks["X"].cancel()
    await room.end("a")
    assert list(room.running) == ["Y"]
    room.tasks["Y"].cancel()
    await settle()

    assert list(room.running) == ["b"]
    assert not room.solitude.is_wanted
    await room.close()


async def test_a_job_that_is_broken_off_while_it_waits_is_forgotten() -> None:
    room = Room()
    await room.come("X", "a", "Y")

    room.tasks["a"].cancel()
    await room.end("X")

    assert list(room.running) == ["Y"]
    await room.close()


async def test_it_is_told_when_suspects_come_and_when_all_have_gone() -> None:
    room, told = Room(), list[bool]()
    room.solitude.changed = lambda: told.append(room.solitude.is_wanted)

    await room.come("a", "X", "Y")
    await room.end("a")
    await room.end("X")
    assert told == [True]
    await room.end("Y")

    assert told == [True, False]
    await room.close()


async def test_what_is_said_after_a_run_is_said_before_the_next_begins() -> None:
    solitude, said = Solitude(), list[str]()

    async def run(name: str) -> None:
        with solitude.place(alone=name.isupper()) as turn:
            await turn()
            said.append(f"{name} started")
            await asyncio.sleep(0)
        said.append(f"{name} done")

    await asyncio.gather(run("a"), run("X"), run("b"))

    assert said == [
        "a started", "a done", "X started", "X done", "b started", "b done",
    ]  # fmt: skip


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["come", "suspect", "end", "break"]), st.integers(0, 9)),
        max_size=40,
    )
)
def test_whatever_comes_a_suspect_is_alone_and_everybody_gets_a_turn(
    steps: list[tuple[str, int]],
) -> None:
    asyncio.run(_live_through(steps))


async def _live_through(steps: list[tuple[str, int]]) -> None:
    room = Room()
    for number, (what, which) in enumerate(steps):
        match what:
            case "come":
                await room.come(f"j{number}")
            case "suspect":
                await room.come(f"S{number}")
            case "end" if room.running:
                await room.end(list(room.running)[which % len(room.running)])
            case "break" if room.tasks:
                list(room.tasks.values())[which % len(room.tasks)].cancel()
                await settle()
            case _:
                pass
        assert len(room.running) <= 1 or not any(name.isupper() for name in room.running)
    while room.running:
        await room.end(*room.running)
    assert all(task.done() for task in room.tasks.values()), "somebody never got a turn"
    assert not room.solitude.is_wanted
