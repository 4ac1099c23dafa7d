"""The rules of a chaos run. Pure: evidence in, what is wrong with it out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec
from typing_extensions import override

from tests.chaos.diary import BEGUN, TWICE
from tests.chaos.evidence import FINAL, Evidence, Row
from tests.chaos.kinds import Kind
from tests.chaos.load import ATTEMPTS, Order

TOLERATED = 0.01  # of all jobs may be done again when there were faults


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule, and on what."""

    rule: str
    what: str

    @override
    def __str__(self) -> str:
        """Return one line for people."""
        return f"{self.rule}: {self.what}"


def examine(evidence: Evidence) -> tuple[Finding, ...]:
    """Return every breach of every rule; nothing if all is well."""
    return tuple(Finding(name, what) for name, rule in RULES.items() for what in rule(evidence))


def _nothing_lost(evidence: Evidence) -> Iterator[str]:
    rows = evidence.by_order()
    for order in evidence.confirmed:
        found, wanted = len(rows[order.serial]), evidence.wanted(order)
        if found < wanted:
            yield f"{_named(order)} was confirmed, {found} of {wanted} jobs are in the ledger"
        for row in rows[order.serial]:
            if row.state not in FINAL:
                yield f"{_named(order)} has no outcome, it is {row.state} as {row.id}"


def _innocent(evidence: Evidence) -> Iterator[str]:
    for order, row in _ended(evidence):
        if order.kind.is_innocent and row.state != "completed":
            yield f"{_named(order)} is {row.state}: {row.error}"


def _dead_with_reason(evidence: Evidence) -> Iterator[str]:
    for order, row in _ended(evidence):
        if order.kind.is_innocent:
            continue
        if row.state != "failed":
            yield f"{_named(order)} is {row.state}, it should have failed"
        elif not row.error:
            yield f"{_named(order)} is dead without a reason"


def _byte_for_byte(evidence: Evidence) -> Iterator[str]:
    known = {order.body for order in evidence.orders}
    for row in evidence.rows:
        if row.body not in known:
            yield f"{row.id} in {row.queue} has a body that nobody published: {row.body[:60]!r}"


def _failures_counted(evidence: Evidence) -> Iterator[str]:
    for order, row in _ended(evidence):
        if row.attempts != _failures(order):
            yield f"{_named(order)} failed {_failures(order)} times, counted are {row.attempts}"


def _poison_bounded(evidence: Evidence) -> Iterator[str]:
    starts = Counter(line.serial for line in evidence.lines if line.what == BEGUN)
    for order in evidence.orders:
        innocent = evidence.coordinator_ends + evidence.outages + 1
        most = evidence.sent(order) * evidence.max_crashes + innocent
        if order.kind.ends_workers and starts[order.serial] > most:
            yield f"{_named(order)} was started {starts[order.serial]} times, allowed are {most}"


def _never_twice_at_once(evidence: Evidence) -> Iterator[str]:
    orders = {order.serial: order for order in evidence.orders}
    for line in evidence.lines:
        if line.what == TWICE:
            yield f"{_named(orders[line.serial])} ran while it ran, in {line.pid} at {line.at:.3f}"


def _few_duplicates(evidence: Evidence) -> Iterator[str]:
    duplicates = evidence.duplicates()
    count, jobs = sum(duplicates.values()), len(list(evidence.confirmed))
    allowed = TOLERATED * jobs if evidence.is_disturbed else 0
    if count > allowed:
        yield f"{count} of {jobs} jobs were done again, allowed are {allowed:g}: {duplicates}"


def _told_once(evidence: Evidence) -> Iterator[str]:
    told: Mapping[tuple[str, str], set[str]] = defaultdict(set)
    for notice in evidence.told:
        told[notice.queue, notice.job_id].add(f"{notice.event} {notice.key}")
    for order, row in _ended(evidence):
        heard = told[row.queue, row.id]
        if len(heard) != order.told:
            expected = "one notice" if order.told else "no notice"
            yield f"{_named(order)} should have had {expected}: {sorted(heard)}"
        elif heard and not next(iter(heard)).startswith(f"job.{row.state} "):
            yield f"{_named(order)} is {row.state}, its user was told {sorted(heard)}"


def _clean_end(evidence: Evidence) -> Iterator[str]:
    end = evidence.end
    if end.exit_code != 0:
        yield f"the exit code is {end.exit_code}"
    for process in end.survivors:
        yield f"left running: {process}"
    if end.integrity != "ok":
        yield f"the ledger's file: {end.integrity}"
    for queue, count in end.left_over.items():
        if count:
            yield f"{count} messages are left in {queue}"


def _no_mishaps(evidence: Evidence) -> Iterator[str]:
    yield from evidence.mishaps


RULES: Mapping[str, Callable[[Evidence], Iterator[str]]] = {
    "nothing is lost": _nothing_lost,
    "innocents are completed": _innocent,
    "the dead have a reason": _dead_with_reason,
    "bodies are kept byte for byte": _byte_for_byte,
    "attempts are failures": _failures_counted,
    "poison is bounded": _poison_bounded,
    "no job runs twice at once": _never_twice_at_once,
    "few duplicates": _few_duplicates,
    "users are told once": _told_once,
    "the end is clean": _clean_end,
    "no mishaps": _no_mishaps,
}


def _ended(evidence: Evidence) -> Iterator[tuple[Order, Row]]:
    rows = evidence.by_order()
    for order in evidence.orders:
        for row in rows[order.serial]:
            if row.state in FINAL:
                yield order, row


def _failures(order: Order) -> int:
    """Return how often the processor has to have failed on it."""
    match order.kind:
        case Kind.FLAKY:
            return int(msgspec.json.decode(order.body)["times"])
        case Kind.FAILING:
            return ATTEMPTS
        case Kind.REJECTING:
            return 1
        case _:
            return 0


def _named(order: Order) -> str:
    return f"job {order.serial} ({order.kind.value}, {order.pool})"
