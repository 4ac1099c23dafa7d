"""The pulse of the coordinator: after a turn of its loop it says how the house stands.

There is no timer of its own. Whoever has a watchdog over us hears from the loop that decides, once
it has handled an event, and only while what the loop depends on is well too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from consumers import logs
from consumers.clock import Clock
from supervisor.core import vitals
from supervisor.core.fleet import Fleet, Stopping
from supervisor.core.vitals import Neglect, PipeReading, Vitals
from supervisor.systemd import Notifier

EVERY = 1.0  # seconds between two looks, at the most often
RENEWED = 5.0  # seconds between two requests for more time to stop

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look around finds."""

    behind: float  # seconds that the oldest event has waited
    unwritten: float  # seconds that the oldest write has waited
    pipes: Mapping[str, PipeReading]  # by worker
    trouble: str  # why the broker is away; empty when it is there


class Pulse:
    """Tells the service manager; ``turned`` is called from the coordinator's loop alone."""

    def __init__(self, notifier: Notifier, look: Callable[[], Seen], clock: Clock) -> None:
        self._notifier = notifier
        self._look = look
        self._clock = clock
        # Alive is said at half the watchdog's time; looks are twice as frequent, to be in time.
        self._half = notifier.watchdog / 2 if notifier.watchdog else None
        self._every = EVERY if self._half is None else min(EVERY, self._half / 2)
        self._said = ""
        self._ailment = ""
        self._neglect: Mapping[str, Neglect] = {}
        self._is_ready = False
        self._is_stopping = self._has_said_farewell = False
        self._next_look = self._next_alive = self._next_request = 0.0

    @property
    def longest_wait(self) -> float | None:
        """How long the loop may wait for an event before it turns; None: as long as it likes."""
        return self._every if self._notifier.is_heard else None

    def turned(self, fleet: Fleet) -> None:
        """Say what there is to say after a turn of the loop."""
        if not self._notifier.is_heard:
            return
        now = self._clock.monotonic()
        is_news = not self._is_ready or self._is_stopping != _stops(fleet)
        if now < self._next_look and not is_news:
            return
        self._next_look = now + self._every
        seen = self._look()
        self._examine(seen, now)
        self._report(fleet, seen.trouble)
        if self._is_stopping:
            self._ask_for_time(fleet, now)
        if not self._ailment:
            self._say_alive(now)

    def reloading(self) -> None:
        """Say that something is being read again."""
        self._notifier.reloading(self._clock.monotonic())

    def reloaded(self) -> None:
        """Say that it has been read."""
        self._notifier.ready()

    def _examine(self, seen: Seen, now: float) -> None:
        self._neglect = vitals.neglected(self._neglect, seen.pipes, now)
        unheard = {worker: now - each.since for worker, each in self._neglect.items()}
        found = ""
        if self._half is not None:
            condition = Vitals(seen.behind, seen.unwritten, unheard)
            found = vitals.ailment(condition, limit=self._half)
        if found and not self._ailment:
            log.critical("not well, the watchdog is not told otherwise", why=found)
        elif self._ailment and not found:
            log.warning("well again", was=self._ailment)
        self._ailment = found

    def _report(self, fleet: Fleet, trouble: str) -> None:
        """Say how the house stands when that changes; once, that it is ready, or stops."""
        words = str(logs.mask(vitals.sentence(fleet, trouble=trouble)))
        if self._ailment:
            words = f"not well: {self._ailment}; {words}"
        if not self._is_ready:
            self._is_ready = True
            self._notifier.ready(words)
        elif self._is_stopping != _stops(fleet):
            self._is_stopping = True
            self._notifier.stopping(words)
        elif words != self._said:
            self._notifier.status(words)
        self._said = words

    def _ask_for_time(self, fleet: Fleet, now: float) -> None:
        """Ask for what the drains may take, and once for the farewell.

        Asked for again and again, a stop that hangs would never be ended.
        """
        if now < self._next_request:
            return
        self._next_request = now + RENEWED
        seconds = vitals.time_to_stop(fleet, now)
        if seconds is not None:
            self._notifier.extend(seconds)
        elif not self._has_said_farewell:
            self._has_said_farewell = True
            self._notifier.extend(vitals.FAREWELL)

    def _say_alive(self, now: float) -> None:
        if self._half is not None and now >= self._next_alive:
            self._next_alive = now + self._half
            self._notifier.alive()


def _stops(fleet: Fleet) -> bool:
    return fleet.stopping is not Stopping.NO
