"""What a ledger is, from outside: its kind, its version, its size, what is in it, who is there."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection

from supervisor.ledger.listing import state_counts
from supervisor.ledger.migrate import HEAD, version
from supervisor.ledger.rooms import room_of


class LedgerView(msgspec.Struct, frozen=True, rename="camel"):
    """One ledger."""

    name: str
    database: str  # which, and of which version
    version: str | None  # of its tables; none: it is empty
    newest: str  # that this program knows
    size: int  # bytes
    coordinators: int  # that hold it now
    jobs: Mapping[str, Mapping[str, int]]  # by queue and state


def look(url: str) -> LedgerView:
    """Return what can be seen of a ledger without holding it; nothing is changed.

    Raises:
        LedgerError: it cannot be read.
    """
    room = room_of(url)
    room.refuse_missing()
    try:
        with room.reading.begin() as connection:
            found = version(connection)
            return LedgerView(
                name=room.name,
                database=room.database(connection),
                version=found,
                newest=HEAD,
                size=room.size(connection),
                coordinators=room.coordinators(connection),
                jobs=_jobs(connection) if found == HEAD else {},
            )
    except room.errors as error:
        raise room.explain(error) from error
    finally:
        room.release()


def _jobs(connection: Connection) -> Mapping[str, Mapping[str, int]]:
    return {
        queue: {state: number for state, number in states.items() if number}
        for queue, states in state_counts(connection).items()
    }
