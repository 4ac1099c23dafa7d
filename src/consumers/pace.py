"""How fast a worker's jobs go, and how many deliveries it should therefore have in hand."""

from dataclasses import dataclass

QUICK = 0.1  # seconds: below this, waiting for the next delivery costs more than holding one
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

    @property
    def prefetch(self) -> int:
        """Return the prefetch per lane: one per slot, two while jobs are quick."""
        is_quick = self.jobs >= SAMPLES and self.average is not None and self.average < QUICK
        return self.slots * 2 if is_quick else self.slots
