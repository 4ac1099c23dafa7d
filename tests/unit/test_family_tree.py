"""How the jobs that came of one look: on the card of that one, and when there are too many."""

import io

import msgspec
from rich.console import Console

from consumers.jobs import Priority
from consumers.outcome import Failure
from supervisor.cli.family_tree import below, in_words
from supervisor.cli.jobs_table import job_card
from supervisor.core.records import Branch, Chain, Family, JobRecord, JobState, Relative

ROOT = Relative("q", "0" * 32)
PENDING = Chain({JobState.COMPLETED: 1}, is_open=False)


def job(job_id: str, pool: str = "preview", **changes: object) -> JobRecord:
    made = JobRecord(
        id=job_id.ljust(32, "0"),
        pool=pool,
        queue="q",
        state=JobState.COMPLETED,
        priority=Priority.NORMAL,
        data={},
        root=ROOT,
    )
    return msgspec.structs.replace(made, **changes)


def drawn(first: JobRecord, family: Family, *, width: int = 160) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(job_card(first, below=below(first, family, narrow=width < 120)))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


FIRST = job("", "download")
CUT = job("c", "cutter", parent=ROOT)
FAILED = job(
    "p",
    state=JobState.FAILED,
    parent=Relative("q", CUT.id),
    error=Failure("the piece is spoiled, and nobody can say what it was that spoiled it"),
)
ENDS = Chain({JobState.COMPLETED: 9_998, JobState.FAILED: 2}, is_open=False)


def test_the_states_are_said_in_a_line_what_succeeded_first() -> None:
    states = {JobState.FAILED: 1, JobState.WAITING: 1_200, JobState.COMPLETED: 4}

    assert in_words(Chain(states, is_open=True)) == "4 of 1,205 completed, 1,200 waiting, 1 failed"


def test_each_job_is_below_the_one_that_it_followed() -> None:
    chain = Chain({JobState.COMPLETED: 2, JobState.FAILED: 1}, is_open=False)
    lines = drawn(FIRST, Family(chain, (Branch(1, CUT), Branch(2, FAILED)), 0, (FAILED,)))

    assert "chain     2 of 3 completed, 1 failed" in lines
    assert lines[-2].split() == ["cutter", CUT.id, "completed"]
    assert lines[-1].startswith(f"    preview  {FAILED.id}  failed     the piece is spoiled")
    assert lines[-2].startswith("  cutter   ")


def test_of_many_the_first_are_shown_and_what_failed_elsewhere() -> None:
    lines = drawn(FIRST, Family(ENDS, (Branch(1, CUT),), 9_950, (FAILED,)))

    assert lines[-1] == f"  and 9,950 more: jobs --root {FIRST.id}"
    assert any(line.startswith(f"failed    {FAILED.id}   of preview: the") for line in lines)


def test_where_none_is_drawn_it_is_said_where_they_are() -> None:
    lines = drawn(FIRST, Family(ENDS, (), 3, ()))

    assert lines[-1] == f"  what came of it (3): jobs --root {FIRST.id}"


def test_on_a_small_terminal_no_line_is_broken() -> None:
    family = Family(ENDS, (Branch(1, CUT), Branch(2, FAILED)), 0, ())

    *_, cut, failed = drawn(FIRST, family, width=80)

    assert cut.split() == ["cutter", CUT.id[:12], "completed"]
    assert failed.startswith(f"    preview  {FAILED.id[:12]}  failed")
    assert failed.endswith("…")


def test_a_job_that_followed_one_says_so_and_one_that_nothing_followed_has_no_tree() -> None:
    lines = drawn(FAILED, Family(PENDING))

    assert f"parent    {CUT.id}   of q" in lines
    assert f"root      {ROOT.id}   of q" in lines
    assert not [line for line in lines if line.startswith("chain")]
