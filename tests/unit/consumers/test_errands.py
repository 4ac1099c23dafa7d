"""Errands: kept until they end, and never lost in silence."""

import asyncio

import pytest

from consumers.errands import Errands
from tests.support.clocks import WITHIN, settle


async def test_finish_waits_for_errands_and_for_those_they_start() -> None:
    errands, told = Errands(), list[str]()

    async def second() -> None:
        await asyncio.sleep(0)
        told.append("second")

    async def first() -> None:
        errands.run(second())

    errands.run(first())
    assert errands
    await asyncio.wait_for(errands.finish(), WITHIN)

    assert told == ["second"]
    assert not errands


async def test_errands_start_in_the_order_they_were_given() -> None:
    errands, told = Errands(), list[int]()

    async def tell(number: int) -> None:
        told.append(number)

    for number in range(5):
        errands.run(tell(number))
    await errands.finish()

    assert told == [0, 1, 2, 3, 4]


async def test_cancel_ends_what_would_never_end() -> None:
    errands = Errands()
    errands.run(asyncio.Event().wait())  # type: ignore[arg-type]  # its answer does not matter
    await settle()

    await asyncio.wait_for(errands.cancel(), WITHIN)

    assert not errands


async def test_an_errand_that_raises_is_logged_and_harms_no_other(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    errands, told, failures = Errands(), list[str](), list[BaseException]()
    errands.failed = failures.append

    async def fail() -> None:
        raise ValueError("out of order")

    async def tell() -> None:
        told.append("done")

    errands.run(fail())
    errands.run(tell())
    await errands.finish()
    await settle()

    assert told == ["done"]
    assert [str(each) for each in failures] == ["out of order"]
    printed = capsys.readouterr()
    assert "out of order" in caplog.text + printed.out + printed.err
