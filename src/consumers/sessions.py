"""The session loop: opens a broker session, hands it out, and opens the next when it has ended.

One place knows why a session ended and says it in one line; nobody mends a broken one.
"""

from collections.abc import Sequence
from typing import Protocol

from consumers.broker.port import Broker, Session
from consumers.clock import Clock
from consumers.errands import Errands
from consumers.errors import BrokerError, ForbiddenError, UnreachableError
from consumers.retry import ReconnectPolicy, forbidden_delay, reconnect_delay

STEADY = 10.0  # seconds a session must have lived for its end not to be one more failure


class Tenant(Protocol):
    """Somebody who lives in a session: consumes, publishes, and moves on with the next."""

    async def open(self, session: Session) -> None:
        """Declare and consume; called once per session."""

    def lost(self) -> None:
        """The session has ended: whatever it delivered is void."""


class Watcher(Protocol):
    """Who is told how the connection fares."""

    def opened(self, peer: str) -> None:
        """A session is there and consumes."""

    def troubled(self, error: BrokerError, failed: int, delay: float) -> None:
        """There is none, for the ``failed``-th time in a row; the next try is in ``delay`` s."""


class Sessions:
    """Keeps a session open for its tenants, for as long as ``run`` runs."""

    def __init__(
        self,
        broker: Broker,
        tenants: Sequence[Tenant],
        watcher: Watcher,
        policy: ReconnectPolicy,
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._tenants = tenants
        self._watcher = watcher
        self._policy = policy
        self._clock = clock
        self._closing = Errands()
        self.current: Session | None = None

    async def run(self) -> None:
        """Open session after session until cancelled."""
        try:
            await self._open_for_ever()
        finally:
            await self._closing.finish()

    async def _open_for_ever(self) -> None:
        failed = 0
        while True:
            began = self._clock.monotonic()
            try:
                error = await self._live()
                if _is_fresh(error, lived=self._clock.monotonic() - began):
                    failed = 0
            except BrokerError as trouble:
                error = trouble
            failed += 1
            delay = self._delay(error, failed)
            self._watcher.troubled(error, failed, delay)
            await self._clock.sleep(delay)

    async def _live(self) -> BrokerError:
        session = await self._broker.connect()
        try:
            for tenant in self._tenants:
                await tenant.open(session)
            self.current = session
            self._watcher.opened(session.peer)
            return await session.ended()
        finally:
            self.current = None
            for tenant in self._tenants:
                tenant.lost()
            # Beside: that the session is lost must be known before the broker delivers again.
            self._closing.run(session.close())

    def _delay(self, error: BrokerError, failed: int) -> float:
        if isinstance(error, ForbiddenError):
            return forbidden_delay(self._policy, failed=failed, roll=self._clock.roll())
        return reconnect_delay(self._policy, failed=failed, roll=self._clock.roll())


def _is_fresh(error: BrokerError, *, lived: float) -> bool:
    """Answer whether the end of an open session begins a new count of failures.

    A line that broke says nothing about the next one. What ended on its own account soon after it
    began would do so again and again, so that must slow down.
    """
    return isinstance(error, UnreachableError) or lived >= STEADY
