"""How the jobs that came of one look: how they stand in a line, and each of them in a tree."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from supervisor.cli.jobs_table import COLOURS, Below, outcome_of, telling_length
from supervisor.core.records import Chain, Family, JobRecord, JobState

_INDENT = "  "


def below(job: JobRecord, family: Family, *, narrow: bool = False) -> Below:
    """Return what the card of a job says of those that came of it.

    ``narrow`` shortens ids for a small terminal.
    """
    if sum(family.chain.states.values()) == 1:
        return Below((), None)
    return Below(tuple(_facts(family)), _tree(job, family, narrow=narrow))


def in_words(chain: Chain) -> str:
    """Return how a job and those that came of it stand: ``7 of 9 completed, 2 failed``."""
    total = sum(chain.states.values())
    completed = chain.states.get(JobState.COMPLETED, 0)
    others = (
        f"{chain.states[state]:,} {state.value}"
        for state in JobState
        if state is not JobState.COMPLETED and chain.states.get(state)
    )
    return ", ".join((f"{completed:,} of {total:,} completed", *others))


def _facts(family: Family) -> Iterator[tuple[str, Text]]:
    yield "chain", Text(in_words(family.chain))
    shown = {(branch.job.queue, branch.job.id) for branch in family.below}
    for job in family.failed:
        if family.more and (job.queue, job.id) not in shown:
            why = job.error.message if job.error else ""
            yield "failed", Text(f"{job.id}   of {job.pool}: {why}", "red")


def _tree(job: JobRecord, family: Family, *, narrow: bool) -> RenderableType:
    drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    length = telling_length({branch.job.id for branch in family.below}) if narrow else None
    for _ in ("what", "id", "state"):
        drawn.add_column(no_wrap=True)
    drawn.add_column()  # the one that gives way: its cells are cut, not wrapped
    for branch in family.below:
        each, what = branch.job, branch.job.pool
        state = Text(each.state.value, COLOURS.get(each.state, ""))
        if each.name:
            what = f"{what} {each.name}"
        outcome = outcome_of(each, narrow=narrow)
        drawn.add_row(Text(_INDENT * branch.depth + what), each.id[:length], state, outcome)
    if not family.more:
        return drawn
    if not family.below:
        return Text(f"{_INDENT}what came of it ({family.more:,}): jobs --root {job.id}", "dim")
    more = Text(f"{_INDENT}and {family.more:,} more: jobs --root {job.id}", "dim")
    return Group(drawn, more)
