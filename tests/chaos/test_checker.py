"""Each rule of a chaos run can fail, and a run without fault breaks none."""

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest

from tests.chaos import checker
from tests.chaos.checker import RULES
from tests.chaos.diary import BEGUN, ENDED, FAILED, TWICE, Line
from tests.chaos.evidence import End, Evidence, Row, Told
from tests.chaos.kinds import Kind
from tests.chaos.load import Order

GOOD, FLAKY, POISON, TWIN = range(4)


def _order(serial: int, kind: Kind, **more: object) -> Order:
    body = msgspec.json.encode({"serial": serial, "do": kind.value, "times": 1})
    return msgspec.structs.replace(Order(serial, kind, "wide", body, at=0.0), **more)


ORDERS = (
    _order(GOOD, Kind.GOOD),
    _order(FLAKY, Kind.FLAKY),
    _order(POISON, Kind.KILL),
    _order(TWIN, Kind.GOOD, told=False),
)


def _row(serial: int, state: str = "completed", **more: object) -> Row:
    row = Row("wide_queue", f"id-{serial}", state, ORDERS[serial].body)
    return replace(row, **more)  # type: ignore[arg-type]  # by name


def _line(what: str, serial: int, attempt: int = 1) -> Line:
    return Line(what, serial, attempt, pid=100 + serial, at=0.0)


def _told(serial: int, event: str = "job.completed") -> Told:
    return Told(f"wide_queue:id-{serial}:{event}", "wide_queue", f"id-{serial}", event)


# The second order of the twins was sent twice: nobody heard the first confirm.
WELL = Evidence(
    orders=ORDERS,
    tries={GOOD: (1, True), FLAKY: (1, True), POISON: (1, True), TWIN: (2, True)},
    lines=(
        _line(BEGUN, GOOD),
        _line(ENDED, GOOD),
        _line(BEGUN, FLAKY),
        _line(FAILED, FLAKY),
        _line(BEGUN, FLAKY, 2),
        _line(ENDED, FLAKY, 2),
        _line(BEGUN, POISON),
        _line(BEGUN, POISON),
        _line(BEGUN, POISON),
        _line(BEGUN, TWIN),
        _line(BEGUN, TWIN),
        _line(ENDED, TWIN),
        _line(ENDED, TWIN),
    ),
    rows=(
        _row(GOOD),
        _row(FLAKY, attempts=1),
        _row(POISON, "failed", error="worker died 3 times", crashes=3),
        _row(TWIN),
        _row(TWIN, id="id-3b"),
    ),
    told=(_told(GOOD), _told(GOOD), _told(FLAKY), _told(POISON, "job.failed")),
)


def _without(serial: int, *rows: Row) -> Evidence:
    """Return the good run with other rows for one order."""
    kept = tuple(row for row in WELL.rows if row.body != ORDERS[serial].body)
    return replace(WELL, rows=(*kept, *rows))


def _more(*lines: Line) -> Evidence:
    return replace(WELL, lines=(*WELL.lines, *lines))


def _ending(**facts: object) -> Evidence:
    return replace(WELL, end=replace(End(), **facts))  # type: ignore[arg-type]  # by name


BROKEN: Mapping[str, Evidence] = {
    "nothing is lost: in the ledger": _without(GOOD),
    "nothing is lost: still active": _without(GOOD, _row(GOOD, "active")),
    "innocents are completed": _without(GOOD, _row(GOOD, "failed", error="worker died 3 times")),
    "the dead have a reason: completed": _without(POISON, _row(POISON)),
    "the dead have a reason: none": _without(POISON, _row(POISON, "failed")),
    "bodies are kept byte for byte": replace(
        WELL, rows=(*WELL.rows, _row(GOOD, id="x", body=ORDERS[GOOD].body + b" "))
    ),
    "attempts are failures": _without(FLAKY, _row(FLAKY, attempts=2)),
    "poison is bounded": _more(*[_line(BEGUN, POISON)] * 2),
    "no job runs twice at once": _more(_line(TWICE, GOOD)),
    "few duplicates": _more(_line(BEGUN, GOOD), _line(ENDED, GOOD)),
    "users are told once: never": replace(WELL, told=WELL.told[2:]),
    "users are told once: two keys": replace(WELL, told=(*WELL.told, _told(GOOD, "job.failed"))),
    "users are told once: the wrong thing": replace(
        WELL, told=(_told(GOOD, "job.failed"), *WELL.told[2:])
    ),
    "users are told once: silenced": replace(WELL, told=(*WELL.told, _told(TWIN))),
    "the end is clean: exit code": _ending(exit_code=1),
    "the end is clean: survivors": _ending(survivors=("4711 sleep 600",)),
    "the end is clean: integrity": _ending(integrity="row 7 missing from index"),
    "the end is clean: left over": _ending(left_over={"wide_queue": 1}),
    "no mishaps": replace(WELL, mishaps=("it left by itself with 1",)),
}


def test_a_run_without_fault_breaks_no_rule() -> None:
    assert checker.examine(WELL) == ()


@pytest.mark.parametrize("name", BROKEN)
def test_each_rule_can_fail(name: str) -> None:
    found = checker.examine(BROKEN[name])

    assert name.partition(":")[0] in {finding.rule for finding in found}


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {name.partition(":")[0] for name in BROKEN} == set(RULES)


def test_one_of_a_hundred_may_be_done_again_when_there_were_faults_and_none_otherwise() -> None:
    orders = tuple(_order(serial, Kind.GOOD) for serial in range(200))
    lines = [_line(what, one.serial) for one in orders for what in (BEGUN, ENDED)]
    run = Evidence(
        orders=orders,
        tries={order.serial: (1, True) for order in orders},
        lines=(),
        rows=tuple(Row("wide_queue", f"{o.serial}", "completed", o.body) for o in orders),
        told=tuple(
            Told(f"{o.serial}", "wide_queue", f"{o.serial}", "job.completed") for o in orders
        ),
    )

    def is_well(count: int, *faults: str) -> bool:
        again = [_line(BEGUN, serial) for serial in range(count)]
        judged = replace(run, lines=(*lines, *again), faults=faults)
        return checker.examine(judged) == ()

    assert is_well(0)
    assert not is_well(1)
    assert is_well(2, "kill worker")
    assert not is_well(3, "kill worker")


def test_a_run_that_a_death_broke_off_is_no_duplicate_when_it_is_done_again() -> None:
    broken_off = (_line(BEGUN, GOOD), *WELL.lines)

    assert replace(WELL, lines=broken_off).duplicates() == {}


def test_a_job_that_is_sent_once_and_has_two_rows_was_done_twice() -> None:
    assert _without(GOOD, _row(GOOD), _row(GOOD, id="other")).duplicates() == {GOOD: 1}


def test_who_ends_its_worker_buys_poison_another_start() -> None:
    more = _more(*[_line(BEGUN, POISON)] * 2)

    assert checker.examine(replace(more, coordinator_ends=1)) == ()
    assert checker.examine(replace(more, outages=1)) == ()


def test_what_was_never_confirmed_may_be_lost() -> None:
    tries = {**WELL.tries, GOOD: (1, False)}
    unheard = replace(_without(GOOD), tries=tries)

    assert checker.examine(unheard) == ()
