"""Listening to a PostgreSQL server for rows of the intake table, on a connection of its own.

What is missed while there is none is found by whoever looks in regularly.
"""

from collections.abc import Callable
from typing import Final

import psycopg
from sqlalchemy.engine import make_url

from consumers import logs
from consumers.clock import Clock
from supervisor.ledger.postgresql import TO_THE_SERVER

KNOCK: Final = b"LISTEN supervisor_intake"
FIRST, LONGEST = 0.5, 15.0  # seconds until a lost connection is opened again, doubling

log = logs.get(__name__)


async def listen(url: str, heard: Callable[[], None], *, clock: Clock) -> None:
    """Say whenever rows were inserted, and when some may have been; until cancelled."""
    pause = FIRST
    while True:
        try:
            async with await _connect(url) as connection:
                await connection.execute(KNOCK)
                heard()  # something may have come before we listened
                pause = FIRST
                async for _ in connection.notifies():
                    heard()
        except (psycopg.Error, OSError) as error:
            log.debug("no knock is heard from the ledger", why=type(error).__name__)
        await clock.sleep(pause)
        pause = min(2 * pause, LONGEST)


async def _connect(url: str) -> psycopg.AsyncConnection[object]:
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    _, options = parsed.get_dialect()().create_connect_args(parsed)
    name = {"application_name": "supervisor (listens)"}
    return await psycopg.AsyncConnection.connect(
        **{**TO_THE_SERVER, **options, **name}, autocommit=True
    )
