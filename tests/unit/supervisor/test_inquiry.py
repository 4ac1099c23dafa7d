"""A question that may not be answered for long: nobody waits long, and nobody asks twice."""

import asyncio

import pytest

from supervisor.inquiry import Inquiry

SOON = 0.01  # seconds
LATE = 20.0


class Oracle:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def ask(self) -> int:
        self.asked += 1
        return await self.answer


async def test_whoever_asks_while_it_is_under_way_waits_for_the_same_answer() -> None:
    oracle = Oracle()
    inquiry = Inquiry(oracle.ask)

    unknown = await inquiry.answer(within=SOON)
    waiting = [asyncio.create_task(inquiry.answer(within=LATE)) for _ in range(2)]
    oracle.answer.set_result(7)

    assert unknown is None
    assert await asyncio.gather(*waiting) == [7, 7]
    assert oracle.asked == 1


async def test_it_is_asked_anew_when_there_was_an_answer_or_an_error() -> None:
    oracle = Oracle()
    inquiry = Inquiry(oracle.ask)
    oracle.answer.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await inquiry.answer(within=LATE)

    oracle.answer = asyncio.get_running_loop().create_future()
    oracle.answer.set_result(8)

    assert await inquiry.answer(within=LATE) == 8
    assert oracle.asked == 2
