"""How dead letters look: groups of them, many in a table, one on a card; and replays."""

import base64
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from supervisor.cli.jobs_table import LONG_ID, job_card
from supervisor.cli.screen import cut, moment, short_moment, size, table
from supervisor.core.records import Incident
from supervisor.desks.letters import (
    Content,
    ErrorGroup,
    Letter,
    LetterCard,
    Replay,
    Share,
    body_of,
)

_LONGEST = 2000  # characters of a body on a card
_SHORT_ID = 12  # characters; `dlq show` takes them for the whole id


def groups_table(found: Sequence[ErrorGroup]) -> RenderableType:
    """Return the groups of errors, one a line: how many, since when, and what went wrong.

    A group's name is never cut: it is what the other verbs take.
    """
    shown = table()
    shown.add_column("Group", no_wrap=True, min_width=max(len(each.group) for each in found))
    shown.add_column("Jobs", justify="right", no_wrap=True, min_width=4)
    for name in ("First", "Last", "Pool"):
        shown.add_column(name, no_wrap=True, overflow="ellipsis")
    shown.add_column("What went wrong")  # gives way where there is no room
    for each in found:
        shown.add_row(
            Text(each.group, "bold"),
            Text(f"{each.jobs:,}", "red"),
            short_moment(each.first),
            short_moment(each.last),
            Text(each.pool),
            _sentence(each.error),
        )
    jobs = sum(each.jobs for each in found)
    letters = f"{jobs:,} dead letter{'s' * (jobs != 1)}"
    groups = f"{len(found)} group{'s' * (len(found) != 1)}"
    first = found[0].group
    hint = f"\n{letters} in {groups}; look at one with `dlq list --group {first}`"
    return Group(shown, Text(hint, "dim"))


def letters_table(found: Iterable[Letter], *, narrow: bool = False) -> Table:
    """Return dead letters, one a line; ``narrow`` leaves out what a small terminal cannot hold."""
    shown = table()
    shown.add_column(
        "Job", no_wrap=True, overflow="ellipsis", min_width=_SHORT_ID, max_width=LONG_ID
    )
    for name in ("Pool", "From", "Failed") if narrow else ("Pool", "Group", "From", "Failed"):
        shown.add_column(name, no_wrap=True, overflow="ellipsis")
    if not narrow:
        shown.add_column("Runs", justify="right", no_wrap=True)
    shown.add_column("What went wrong")  # gives way where there is no room
    for each in found:
        shown.add_row(
            Text(each.id[:_SHORT_ID] if len(each.id) == 32 else each.id),
            Text(each.pool),
            *([] if narrow else [Text(each.group)]),
            Text(each.sender),
            short_moment(each.failed_at),
            *([] if narrow else [str(each.attempts + each.crashes)]),
            _sentence(each.error, "red"),
        )
    return shown


def shares_table(found: Iterable[Share]) -> Table:
    """Return what an order is about, by groups."""
    shown = table("Group")
    shown.add_column("Jobs", justify="right", no_wrap=True)
    shown.add_column("Pool", no_wrap=True)
    shown.add_column("What went wrong")  # gives way where there is no room
    for each in found:
        shown.add_row(each.group, f"{each.jobs:,}", Text(each.pool), _sentence(each.error))
    return shown


def replays_table(found: Iterable[Replay]) -> Table:
    """Return replays, one a line."""
    shown = table("Replay", "When")
    shown.add_column("Jobs", justify="right", no_wrap=True)
    shown.add_column("Now")
    shown.add_column("Which", no_wrap=True, overflow="ellipsis")
    for each in found:
        now = ", ".join(f"{number:,} {state}" for state, number in sorted(each.states.items()))
        undone = "" if each.undone_at is None else f"  (undone {short_moment(each.undone_at)})"
        shown.add_row(
            str(each.number),
            short_moment(each.created_at),
            f"{each.jobs:,}",
            Text(now),
            Text(f"{each.what}{undone}"),
        )
    return shown


def letter_card(card: LetterCard) -> RenderableType:
    """Return one dead letter with all that befell it, and what can be done."""
    parts: list[RenderableType] = [job_card(card.job), Text(), _facts(card)]
    if card.deaths:
        parts += [Text(), _deaths(card.deaths)]
    job_id = card.job.id
    hint = f"\n`dlq retry {job_id}` runs it again, `dlq edit {job_id}` with other data"
    if card.alike > 1:
        hint = f"{hint}, `dlq retry --group {card.group}` all of its group"
    return Group(*parts, Text(hint, "dim"))


def _facts(card: LetterCard) -> Table:
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("group", Text(f"{card.group}   {card.alike:,} alike"))
    facts.add_row("failed", Text(moment(card.job.finished_at)))
    facts.add_row("body", _body(card.body))
    if card.original is not None:
        facts.add_row("first body", _body(card.original))
    for name, value in _said(card.properties):
        facts.add_row(name, Text(value))
    for header, ours in card.added.items():
        facts.add_row(Text(header, "dim"), Text(cut(str(ours), _LONGEST), "dim"))
    if card.replay is not None:
        facts.add_row("last replay", Text(str(card.replay)))
    return facts


def _said(properties: msgspec.Struct) -> Iterable[tuple[str, str]]:
    for name, value in msgspec.to_builtins(properties).items():
        if name == "headers":
            yield from ((f"header {key}", str(each)) for key, each in value.items())
        else:
            yield name, str(value)


def _body(content: Content) -> Text:
    body = body_of(content)
    said = content.text
    if said is None:
        said = f"base64 {base64.b64encode(body).decode()}"
    return Text(f"{cut(said, _LONGEST)}  ").append(f"({size(len(body))})", "dim")


def _deaths(found: Iterable[Incident]) -> Table:
    shown = table("Worker died", "When", "Cause")
    shown.add_column("How", overflow="fold")
    for each in found:
        how = each.why if each.exit in each.why else f"{each.why}  {each.exit}".strip()
        shown.add_row(each.worker, moment(each.at), each.cause, Text(how))
    return shown


def _sentence(error: str, style: str = "") -> Text:
    """Return an error in one line, which is cut where there is no room."""
    return Text(" ".join(error.split()), style, no_wrap=True, overflow="ellipsis")
