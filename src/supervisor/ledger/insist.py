"""Writing until it is written: what must not get lost waits for a ledger that is in trouble."""

from collections.abc import Awaitable, Callable

from consumers import logs
from consumers.clock import Clock
from supervisor.ledger.errors import PATIENCE, LedgerClosedError, LedgerError, UnwritableError

log = logs.get(__name__)


def _always() -> bool:
    return True


async def insist(
    write: Callable[[], Awaitable[None]],
    *,
    clock: Clock,
    worthwhile: Callable[[], bool] = _always,
) -> bool:
    """Write until it is written (True), or until nobody needs it any more (False).

    Unless ``worthwhile`` says otherwise, it is needed for as long as the ledger is open. What the
    ledger can never take is said and given up (False).

    A ledger in trouble is told of once, for everybody who waits; only what is wrong with this
    very write is said here, once.
    """
    said = ""
    while True:
        try:
            await write()
        except LedgerClosedError:
            return False
        except UnwritableError as error:
            log.error("ledger never takes it, given up", why=str(error))  # noqa: TRY400
            return False
        except LedgerError as error:
            said = _say(error, said)
        else:
            return True
        if not worthwhile():
            return False
        await clock.sleep(PATIENCE)
        if not worthwhile():
            return False


def _say(error: LedgerError, said: str) -> str:
    """Say what is wrong with a write, unless it was said before; return what was said last."""
    if error.trouble is not None or str(error) == said:
        return said
    log.warning("ledger does not take it, trying again", why=str(error))
    return str(error)
