"""When a message without an id is acked, and what is said of one that was not."""

import asyncio

import pytest

from consumers.desk import Drop
from consumers.errors import BrokerError
from consumers.outcome import Outcome
from tests.support.benches import BROKEN, DONE, GONE, Bench, bench_of_one
from tests.support.clocks import settle
from tests.support.sessions import a_message

__all__ = ["bench_of_one"]
pytestmark = pytest.mark.invariant(4)


@pytest.mark.parametrize("outcome", [DONE, BROKEN, GONE])
async def test_a_message_without_an_id_is_acked_on_a_line_that_answers(
    bench: Bench, outcome: Outcome
) -> None:
    bench.processor.outcome = outcome
    bench.session.line.clear()
    running = asyncio.ensure_future(bench.execute(a_message()))
    await settle()
    assert "acked" not in bench.diary

    bench.session.line.set()
    await running

    assert bench.diary[-2:] == ["acked", "settled"]


@pytest.mark.parametrize("outcome", [DONE, BROKEN])
async def test_a_message_without_an_id_is_not_acked_before_that_is_heard(
    bench: Bench, outcome: Outcome
) -> None:
    bench.processor.outcome = outcome
    bench.desk.announcing.clear()
    running = asyncio.ensure_future(bench.execute(a_message()))
    await settle()
    assert "acked" not in bench.diary

    bench.desk.announcing.set()
    await running

    assert bench.desk.announced == ["new-1"]
    assert bench.diary[-2:] == ["acked", "settled"]


async def test_nothing_is_said_of_an_ack_on_a_line_that_has_not_answered(bench: Bench) -> None:
    bench.session.line.clear()
    running = asyncio.ensure_future(bench.execute(a_message()))
    await settle()

    assert bench.desk.announced == []

    bench.session.line.set()
    await running


async def test_a_message_with_an_id_is_acked_at_once(bench: Bench) -> None:
    bench.session.line.clear()
    bench.desk.announcing.clear()

    await bench.execute(a_message(message_id="j1"))

    assert bench.diary[-2:] == ["acked", "settled"]


async def test_a_verdict_is_obeyed_on_a_line_that_answers(bench: Bench) -> None:
    bench.desk.verdict = Drop("j1", "settled")
    bench.session.line.clear()
    running = asyncio.ensure_future(bench.execute(a_message()))
    await settle()
    assert bench.diary == []

    bench.session.line.set()
    await running

    assert bench.diary == ["acked", "settled"]


async def test_what_was_done_on_a_line_that_answers_no_more_is_surely_not_acked(
    bench: Bench,
) -> None:
    bench.session.line.clear()
    running = asyncio.ensure_future(bench.execute(a_message()))
    await settle()

    bench.session.end()
    with pytest.raises(BrokerError):
        await running

    assert "acked" not in bench.diary
    assert bench.diary[-1] == "unsettled"


async def test_what_is_done_and_not_acked_when_the_worker_is_told_to_stop_comes_again(
    bench: Bench,
) -> None:
    bench.session.line.clear()
    running = asyncio.ensure_future(bench.execute(a_message()))
    await settle()

    running.cancel()
    await asyncio.wait({running})

    assert "acked" not in bench.diary
    assert bench.diary[-1] == "unsettled"
