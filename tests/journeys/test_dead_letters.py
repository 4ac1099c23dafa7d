"""Dead letters with the real program: seen, sent again at a rate, killed half way, taken back."""

import contextlib
import random
import secrets
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from supervisor.api.bulk import BulkAnswer
from supervisor.client import Client, NoSupervisorError
from supervisor.desks.letters import ErrorGroup, Exported, Replayed, ReplayOrder, TakenIn, Undone
from supervisor.ports import ControlError, Order
from tests.journeys.conftest import Configured
from tests.support import processors
from tests.support.program import Program

MANY = 12
LEFT = 6  # of them are still to be sent when they are taken back
MANY_MORE = 150  # two transactions of a replay
RATE = 100.0  # a second
KILLS = 2
SOON = (0.0, 0.7)  # seconds from an order to a kill: it is read, entered, sent, done
AT_ONCE = 4
IN_HAND = 2 * AT_ONCE  # quick jobs that a kill may catch between their end and its record


@pytest.mark.invariant(1)
@pytest.mark.timeout(90)
def test_a_group_is_sent_again_killed_half_way_and_nothing_is_doubled_or_lost(
    configured: Configured, driver: str
) -> None:
    program = configured({"toy": {"retry": {"attempts": 1, "delay": "200ms"}}}, driver).start()
    program.may_raise = True
    failing = [{"do": "fail_until", "gate": "open", "name": f"n{n}"} for n in range(MANY)]
    ids = program.submit("toy", *failing, {"do": "reject", "name": "other"})
    program.wait_for_count("failed", MANY + 1)
    largest, other = _groups(program)
    before = _dead(program)
    trial = program.cli("dlq", "retry", "--group", largest, "--rate", "2/s", "--dry-run").stdout
    untouched = _dead(program)

    processors.open_gate(program.media, "open")
    sent = program.cli("dlq", "retry", "--group", largest, "--rate", "2/s").stdout
    program.wait_for_count("completed", 3)
    program.crash()
    program.start()
    program.wait_until(lambda: program.count("pending") <= LEFT, "most to have been sent")
    with Client(program.socket) as client:
        undone = client.ask("POST", "/api/letters/replays/1/undo", Undone)
    program.wait_for_count("completed", MANY - undone.jobs)

    after = _dead(program)
    assert untouched == before
    assert f"{MANY} dead letters would run again (group {largest})" in trial
    assert "replay 1: `dlq undo 1` takes back" in sent
    assert 0 < undone.jobs <= LEFT
    assert len(after) == undone.jobs + 1
    assert after.items() <= before.items()  # as they were, to the microsecond
    assert program.count("completed") == MANY - undone.jobs
    assert _groups(program) == [largest, other] or undone.jobs == 1
    _each_ran_once(program, set(ids[:MANY]) - set(after))


@pytest.mark.invariant(1)
@pytest.mark.timeout(120)
def test_kills_at_any_instant_of_a_replay_lose_no_dead_letter_and_send_none_twice(
    driver: str, configured: Configured
) -> None:
    seed = secrets.randbelow(10**6)
    dice = random.Random(seed)  # noqa: S311 - any instants will do
    toy = {"concurrency": AT_ONCE, "retry": {"attempts": 1, "delay": "200ms"}}
    program = configured({"toy": toy}, driver).start()
    program.may_raise = True
    _hand_in(program, MANY_MORE)
    program.wait_for_count("failed", MANY_MORE)
    processors.open_gate(program.media, "open")
    for _ in range(KILLS):
        with program.crashing(after=dice.uniform(*SOON)):
            _send_all_again(program)
        program.start()
    _send_all_again(program)
    program.wait_for_count("completed", MANY_MORE)

    shown = f"seed {seed}"
    ended = Counter(run.name for run in processors.runs(program.media, what="ended"))
    assert program.ledger("SELECT sum(total), count(*) > 0 FROM replays") == [(MANY_MORE, 1)], shown
    assert program.ledger("SELECT count(*) FROM jobs") == [(MANY_MORE,)], shown
    assert len(ended) == MANY_MORE, shown
    assert ended.total() - MANY_MORE <= KILLS * IN_HAND, shown


def _hand_in(program: Program, many: int) -> None:
    """Hand in jobs that fail until a gate is open."""
    orders = [
        Order(pool="toy", data={"do": "fail_until", "gate": "open", "name": f"n{number}"})
        for number in range(many)
    ]
    with Client(program.socket) as client:
        client.hand_in("/api/jobs/bulk", msgspec.json.Encoder().encode_lines(orders), BulkAnswer)


def _send_all_again(program: Program) -> None:
    """Have all dead letters there are run again, unless it is killed in the middle."""
    order = ReplayOrder(every=True, rate=RATE)
    with Client(program.socket) as client, contextlib.suppress(NoSupervisorError, ControlError):
        client.ask("POST", "/api/letters/replay", Replayed, body=order)


def _each_ran_once(program: Program, ran: set[str]) -> None:
    """Each of these was done, and none twice but for the one that the kill may have hit."""
    rows = program.ledger("SELECT id, json_extract(body, '$.name') FROM jobs")
    names = Counter(run.name for run in processors.runs(program.media, what="ended"))
    assert set(names) == {str(name) for job_id, name in rows if job_id in ran}
    assert names.total() - len(names) <= 1, names


def _dead(program: Program) -> dict[str, tuple[object, ...]]:
    """Return the dead letters with all that is known of how they ended."""
    rows = program.ledger(
        "SELECT id, error, error_group, attempts, crashes, finished_at, started_at, body, sender, "
        "properties, worker, progress, duration, result FROM jobs WHERE state = 'failed'"
    )
    return {str(row[0]): row[1:] for row in rows}


@pytest.mark.timeout(90)
def test_one_is_edited_and_runs_and_all_are_kept_in_a_file(
    configured: Configured, each_driver: str, tmp_path: Path
) -> None:
    program = configured({"toy": {"retry": {"attempts": 1, "delay": "200ms"}}}, each_driver).start()
    program.may_raise = True
    first, second = program.submit(
        "toy", *({"do": "fail", "times": 9, "name": name} for name in ("first", "second"))
    )
    program.wait_for_state("failed", first, second)
    file = tmp_path / "letters.ndjson"

    shown = program.cli("dlq", "show", first[:12]).stdout
    program.cli("dlq", "edit", first[:12], "--set", "do=nothing")
    program.wait_for_state("completed", first)
    program.cli("dlq", "export", "-o", str(file))
    line = msgspec.json.decode(file.read_bytes(), type=Exported)
    purged = program.cli("dlq", "purge", "--pool", "toy", "--yes")
    gone = program.count("failed")
    taken = program.cli("dlq", "import", str(file)).stdout

    assert "ValueError: attempt 1 fails" in shown
    assert "in _fail" in shown
    assert (line.id, len(line.history)) == (second, 1)
    assert (purged.returncode, gone) == (0, 0)
    assert taken == "1 dead letter taken in, 0 known already\n"
    with Client(program.socket) as client:
        same = client.hand_in("/api/letters/import", file.read_bytes(), TakenIn)
        assert (same.taken, same.known) == (0, 1)
        order = ReplayOrder(ids=(second,))
        assert client.ask("POST", "/api/letters/replay", Replayed, body=order).jobs == 1
    twice = "it to run again"
    program.wait_until(lambda: len(processors.runs(program.media, name="second")) == 2, twice)
    program.wait_for_state("failed", second)


def _groups(program: Program) -> list[str]:
    with Client(program.socket) as client:
        found = client.ask("GET", "/api/letters/groups", tuple[ErrorGroup, ...])
    return [each.group for each in found]
