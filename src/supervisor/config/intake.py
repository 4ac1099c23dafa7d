"""Reading ``intake``: how jobs are taken out of the ledger's table for other programs."""

from supervisor.config.section import Section
from supervisor.config.values import between, duration, whole
from supervisor.core.intake import Pace

_MOST = 1000


def read_intake(intake: Section) -> Pace:
    """Return how many rows are taken at a time, and how often."""
    default = Pace()
    found = Pace(
        batch_size=intake.value("batch_size", between(whole, 1, _MOST), default.batch_size),
        interval=intake.value(
            "interval", between(duration, 0.1, 3600.0, unit=" s"), default.interval
        ),
        concurrency=intake.value("concurrency", between(whole, 1, _MOST), default.concurrency),
    )
    intake.finish()
    return found
