"""Everything a chaos run leaves to be judged by, from four witnesses that do not know each other.

The publishers say what was confirmed, the processors what ran, the ledger what became of it, the
webhook's receiver what was told.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos.diary import BEGUN, FINISHED, Line
from tests.chaos.load import Order

FINAL = frozenset({"completed", "failed", "cancelled", "removed"})


@dataclass(frozen=True, slots=True)
class Row:
    """A job in the ledger; ``error`` is what it says of a failure, empty if nothing."""

    queue: str
    id: str
    state: str
    body: bytes
    error: str = ""
    attempts: int = 0
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """A notice as the webhook's receiver got it."""

    key: str
    queue: str
    job_id: str
    event: str


@dataclass(frozen=True, slots=True)
class End:
    """How the program was found at the end."""

    exit_code: int = 0
    survivors: tuple[str, ...] = ()
    integrity: str = "ok"
    left_over: Mapping[str, int] = field(default_factory=dict)  # messages, by queue


@dataclass(frozen=True, slots=True)
class Evidence:
    """One run."""

    orders: tuple[Order, ...]
    tries: Mapping[int, tuple[int, int]]  # how often sent, and how often confirmed
    lines: tuple[Line, ...]
    rows: tuple[Row, ...]
    told: tuple[Told, ...]
    end: End = End()
    faults: tuple[str, ...] = ()  # what was done, in words
    coordinator_ends: int = 0  # by kill -9, of the coordinator or of its guard
    outages: int = 0  # of the broker, so long that workers leave to be replaced: nobody is to blame
    mishaps: tuple[str, ...] = ()  # what went wrong where nothing was broken on purpose
    max_crashes: int = 3

    @property
    def is_disturbed(self) -> bool:
        """Answer whether processes or connections came to harm, be it by the jobs themselves."""
        return bool(self.faults) or any(order.kind.ends_workers for order in self.orders)

    @property
    def confirmed(self) -> Iterator[Order]:
        """The orders whose publish was confirmed."""
        return (order for order in self.orders if self.wanted(order))

    def sent(self, order: Order) -> int:
        """Return how many messages of an order there may be."""
        return self.tries.get(order.serial, (0, 0))[0]

    def wanted(self, order: Order) -> int:
        """Return how many jobs of an order there must be at least."""
        return order.jobs(self.tries.get(order.serial, (0, 0))[1])

    def by_order(self) -> Mapping[int, list[Row]]:
        """Return the rows of each order, known by its bytes."""
        serials = {order.body: order.serial for order in self.orders}
        found: dict[int, list[Row]] = {order.serial: [] for order in self.orders}
        for row in self.rows:
            if row.body in serials:
                found[serials[row.body]].append(row)
        return found

    def duplicates(self) -> Mapping[int, int]:
        """Return how often each order was done again although it had been done.

        A run that a death broke off has to be followed by another; that is none.
        """
        rows = self.by_order()
        again = _runs_after_the_last(self)
        counts = {
            order.serial: max(
                again[order.serial], len(rows[order.serial]) - max(1, self.sent(order))
            )
            for order in self.orders
        }
        return {serial: count for serial, count in counts.items() if count > 0}


def _runs_after_the_last(evidence: Evidence) -> Counter[int]:
    """Count the runs that began after as many as were sent had finished the same attempt."""
    sent = {order.serial: max(1, evidence.sent(order)) for order in evidence.orders}
    finished: Counter[tuple[int, int]] = Counter()
    again: Counter[int] = Counter()
    for line in evidence.lines:
        run = (line.serial, line.attempt)
        if line.what in FINISHED:
            finished[run] += 1
        elif line.what == BEGUN and finished[run] >= sent.get(line.serial, 1):
            again[line.serial] += 1
    return again
