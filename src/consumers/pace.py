"""How fast a worker's jobs go, and how many deliveries it should therefore have in hand."""

from dataclasses import dataclass

QUICK = 0.25  # seconds: what begins within this is held; to wait for its delivery would cost more
TURN = 0.025  # seconds: what begins within this is claimed ahead; a claim takes a round trip
SMOOTHING = 0.1  # weight of the newest job in the moving average
SAMPLES = 20  # jobs before the average means anything


@dataclass(slots=True)
class Pace:
    """A moving average of job durations; ``granted`` is the prefetch now in force."""

    slots: int
    granted: int = 0
    average: float | None = None  # seconds
    jobs: int = 0

    def took(self, duration: float) -> None:
        """Learn from one more job."""
        self.jobs += 1
        before = duration if self.average is None else self.average
        self.average = before + SMOOTHING * (duration - before)

    def forget(self) -> None:
        """Learn anew: the jobs are not as quick as they were."""
        self.jobs, self.average = 0, None

    @property
    def ahead(self) -> int:
        """Return how many jobs are claimed before there is a slot, so that none stays empty."""
        if self.jobs < SAMPLES or not self.average:
            return 0
        return min(self.slots, int(self.slots * TURN / self.average))

    @property
    def prefetch(self) -> int:
        """Return the prefetch per lane: one per slot, and those that begin within a moment.

        That is two per slot while jobs are quick, hardly more than one while they are long. What
        is in force stays as it is for a small difference: to change it costs a round trip.
        """
        if self.jobs < SAMPLES or not self.average:
            return self.slots
        wanted = self.slots + min(self.slots, int(self.slots * QUICK / self.average))
        is_near = self.granted >= self.slots and abs(wanted - self.granted) * 8 < self.slots
        return self.granted if is_near else wanted
