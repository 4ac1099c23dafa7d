"""Listening to a PostgreSQL server for what is put into its tables, on a connection of its own.

What is missed while there is none is found by whoever looks in regularly.
"""

from collections.abc import Callable, Mapping
from typing import Final

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from consumers import logs
from consumers.clock import Clock
from supervisor.ledger.postgresql import TO_THE_SERVER

INTAKE: Final = "supervisor_intake"
FIRST, LONGEST = 0.5, 15.0  # seconds until a lost connection is opened again, doubling

log = logs.get(__name__)


async def listen(url: str, heard: Mapping[str, Callable[[], None]], *, clock: Clock) -> None:
    """Call whoever waits for a channel when that is heard, or may have been; until cancelled."""
    pause = FIRST
    while True:
        try:
            async with await _connect(url) as connection:
                for channel in heard:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                for call in heard.values():
                    call()  # something may have come before we listened
                pause = FIRST
                async for knock in connection.notifies():
                    heard[knock.channel]()
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
