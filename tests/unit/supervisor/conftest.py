"""A clerk with a ledger of its own for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.offices import Office, an_office
from tests.support.parking import Site, parking_lot


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async for opened in an_office(tmp_path):
        yield opened


@pytest.fixture
async def site(office: Office) -> AsyncIterator[Site]:
    async with parking_lot(office) as opened:
        yield opened
