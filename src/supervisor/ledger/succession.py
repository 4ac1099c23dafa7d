"""Who takes up what a coordinator leaves that does not come back: another one on the same ledger.

One that is away for a moment is not succeeded: its server was restarted, or its network broke.
"""

from collections.abc import Callable, Collection
from functools import partial

from consumers import logs
from consumers.clock import Clock
from supervisor.ledger.errors import LedgerClosedError, LedgerError
from supervisor.ledger.recovery import gone, recover
from supervisor.ledger.store import Ledger

EVERY = 10.0  # seconds between two looks
GRACE = 60.0  # seconds that a coordinator may be away

log = logs.get(__name__)


class Succession:
    """Looks now and then who has left something; ``taken`` is told when it was taken up."""

    def __init__(
        self,
        ledger: Ledger,
        pools: Collection[str],
        clock: Clock,
        taken: Callable[[], None],
        queues: Collection[str] = (),
    ) -> None:
        """Succeed others for these pools, and as those who drained these ``queues``."""
        self._ledger = ledger
        self._pools = pools
        self._queues = queues
        self._clock = clock
        self._taken = taken
        self._since: dict[str, float] = {}  # by node, when it was found to be away

    async def run(self) -> None:
        """Look every few seconds, until cancelled; nobody succeeds anybody in a file."""
        while self._ledger.is_shared:
            await self._clock.sleep(EVERY)
            try:
                await self.look()
            except LedgerClosedError:
                return
            except LedgerError as error:
                log.debug("ledger not looked through", why=str(error))  # told of once, for all

    async def look(self) -> None:
        """Succeed those who have been away for long. Raises LedgerError."""
        # Written, not read: the connection that writes is what says that we are there.
        away = await self._ledger.write(partial(gone, pools=self._pools, queues=self._queues))
        now = self._clock.monotonic()
        self._since = {node: self._since.get(node, now) for node in away}
        overdue = [node for node, since in self._since.items() if now - since >= GRACE]
        if not overdue:
            return
        now_at = self._clock.utcnow()
        succeed = partial(recover, nodes=overdue, pools=self._pools, queues=self._queues)
        released = await self._ledger.write(partial(succeed, now=now_at))
        log.warning("supervisors are gone, their jobs are ours", nodes=overdue, running=released)
        self._taken()
