"""The gatekeeper: watches the session of the parking lot, and says why jobs cannot be parked.

A job that is not parked is taken back by the broker when it has run for longer than its
``consumer_timeout``; so this is a reason not to be ready (``core/readiness.py``).
"""

from collections.abc import Callable

from consumers import logs
from consumers.errors import BrokerError, OccupiedError, UnreachableError
from supervisor.core.readiness import Parking

SHUT = "there is no session for parked jobs yet; look at the log"
LOOK = "look at the broker's log, and whether our user may declare and consume it"

log = logs.get(__name__)


class Gatekeeper:
    """Watches the sessions of a parking lot; the broker itself is talked of elsewhere.

    ``is_well`` answers whether the coordinator's own session with the same broker is there.
    """

    def __init__(self, is_well: Callable[[], bool]) -> None:
        self._is_well = is_well
        self._said = ""
        self.parking = Parking(is_open=False, why=SHUT)

    def opened(self, peer: str) -> None:
        """Note that parked jobs are in our hands."""
        log.debug("parked jobs are kept here", peer=peer)
        self._said = ""
        self.parking = Parking()

    def troubled(self, error: BrokerError, failed: int, delay: float) -> None:
        """Say in one line why jobs cannot be parked; nothing of an ordinary outage."""
        why = str(error)
        if isinstance(error, UnreachableError):
            self._said = ""
        if why != self._said and self._is_ours_alone(error, failed):
            hint = {"hint": error.hint} if error.hint else {}
            log.error("jobs cannot be parked", why=why, **hint, next_try=f"{delay:.1f} s")
            self._said = why
        else:
            log.debug("no session for parked jobs", why=why, tries=failed)
        self.parking = Parking(is_open=False, why=_advice(error), is_ours=self._said == why)

    def _is_ours_alone(self, error: BrokerError, failed: int) -> bool:
        """Answer whether nobody else would say it: of a whole broker the postroom speaks."""
        if isinstance(error, OccupiedError):
            return True
        # At the first failure the other session may be about to end for the same reason.
        return not isinstance(error, UnreachableError) and failed > 1 and self._is_well()


def _advice(error: BrokerError) -> str:
    """Return what went wrong, in the broker's words, and what to do."""
    if error.hint or isinstance(error, OccupiedError):  # the latter says it itself
        return error.advised
    return f"{error}; {LOOK}"
