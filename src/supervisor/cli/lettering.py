"""Asking for what is to be done with dead letters, and saying what came of it."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from supervisor.cli.asking import supervisor
from supervisor.cli.confirming import confirm
from supervisor.cli.exits import Complaint, ExitCode, finish
from supervisor.cli.jobs_table import WIDE
from supervisor.cli.letters_table import (
    groups_table,
    letter_card,
    letters_table,
    replays_table,
    shares_table,
)
from supervisor.cli.screen import print_json, screen, span
from supervisor.cli.screen import show as draw
from supervisor.client import quoted
from supervisor.config.values import duration
from supervisor.config.values import rate as read_rate
from supervisor.desks.letters import (
    Chosen,
    EditOrder,
    ErrorGroup,
    LetterCard,
    LetterPage,
    Purged,
    Replay,
    Replayed,
    ReplayOrder,
    TakenIn,
    Undone,
    body_of,
)

_ALL = "/api/letters"
MOST_LINES = 500  # that one request takes in
LARGEST = 800_000  # bytes of them, or one line

Text = str | None


def which(  # noqa: PLR0913 - one for each option
    *,
    job_ids: tuple[str, ...] = (),
    pool: Text = None,
    group: Text = None,
    code: Text = None,
    sender: Text = None,
    text: Text = None,
    older: Text = None,
    newer: Text = None,
    limit: int | None = None,
    every: bool = False,
    dry_run: bool = False,
) -> Chosen:
    """Return which dead letters were meant, from the options as they were typed."""
    return Chosen(
        ids=job_ids,
        pool=pool,
        group=group,
        code=code,
        sender=sender,
        text=text,
        older=None if older is None else _seconds(older, "--older"),
        newer=None if newer is None else _seconds(newer, "--newer"),
        limit=limit,
        every=every,
        dry_run=dry_run,
    )


def list_letters(chosen: Chosen, limit: int, *, as_json: bool) -> None:
    """List dead letters."""
    with supervisor() as client:
        query = _query(chosen) | {"limit": limit}
        page = client.ask("GET", _ALL, LetterPage, query=query)
    if as_json:
        print_json(page.letters)
        return
    is_narrow = screen().width < WIDE
    shown = letters_table(page.letters, narrow=is_narrow) if page.letters else None
    draw("no such dead letters" if shown is None else shown)
    if page.next_cursor is not None:
        click.echo(f"there are more; these are the newest {limit}", err=True)


def list_groups(chosen: Chosen, *, as_json: bool) -> None:
    """Show what dead letters died of."""
    with supervisor() as client:
        kind = tuple[ErrorGroup, ...]
        found = client.ask("GET", f"{_ALL}/groups", kind, query=_query(chosen))
    if as_json:
        print_json(found)
    else:
        draw(groups_table(found) if found else "no dead letters: all is well")


def show_letter(job_id: str, *, as_json: bool) -> None:
    """Show one dead letter."""
    with supervisor() as client:
        card = client.ask("GET", _of(job_id), LetterCard)
    if as_json:
        print_json(card)
    else:
        draw(letter_card(card))


def print_body(job_id: str) -> None:
    """Print the body of a dead letter, and nothing else."""
    with supervisor() as client:
        card = client.ask("GET", _of(job_id), LetterCard)
    sys.stdout.buffer.write(body_of(card.body))


def retry_letters(chosen: Chosen, rate: Text, *, as_json: bool) -> None:
    """Have dead letters run again, or say what would happen."""
    _require_some(chosen, "retry")
    order = ReplayOrder(
        **msgspec.structs.asdict(chosen), rate=None if rate is None else _per_second(rate)
    )
    with supervisor() as client:
        done = client.ask("POST", f"{_ALL}/replay", Replayed, body=order)
    _say_replayed(done, as_json=as_json, dry_run=chosen.dry_run)


def edit_letter(job_id: str, data: Text, changes: tuple[str, ...], *, as_json: bool) -> None:
    """Have a dead letter run again with other data."""
    with supervisor() as client:
        card = client.ask("GET", _of(job_id), LetterCard)
        order = EditOrder(_edited(card, data, changes))
        done = client.ask("POST", f"{_of(card.job.id)}/edit", Replayed, body=order)
    _say_replayed(done, as_json=as_json)


def undo_replay(number: int, *, as_json: bool) -> None:
    """Take a replay back, as far as it has not begun."""
    with supervisor() as client:
        done = client.ask("POST", f"{_ALL}/replays/{number}/undo", Undone)
    if as_json:
        print_json(done)
        return
    left = f"; {done.left} had begun, or were changed since" if done.left else ""
    click.echo(f"replay {number}: {_are(done.jobs)} again{left}")


def list_replays(limit: int, *, as_json: bool) -> None:
    """List what was sent again."""
    with supervisor() as client:
        query = {"limit": limit}
        found = client.ask("GET", f"{_ALL}/replays", tuple[Replay, ...], query=query)
    if as_json:
        print_json(found)
    else:
        draw(replays_table(found) if found else "nothing was sent again yet")


def export_letters(chosen: Chosen, file: Path | None) -> None:
    """Write dead letters to a file, or to stdout."""
    query = _query(chosen) | {"limit": chosen.limit}
    with supervisor() as client:
        lines = client.lines(f"{_ALL}/export", query=query)
        if file is None:
            _write(lines, sys.stdout.buffer)
            return
        try:
            with file.open("wb") as opened:
                number = _write(lines, opened)
        except OSError as error:
            message = f"{file} cannot be written: {error.strerror}"
            raise Complaint(message) from error
    click.echo(f"{file}: {_letters(number)}", err=True)


def import_letters(file: Iterable[bytes], *, as_json: bool) -> None:
    """Make dead letters of the lines of a file; say which were refused, and fail if some were."""
    total, first = TakenIn(0, 0), 1
    with supervisor() as client:
        for some in _parts(file):
            done = client.hand_in(f"{_ALL}/import", b"".join(some), TakenIn)
            refused = (
                msgspec.structs.replace(bad, line=bad.line + first - 1) for bad in done.refused
            )
            total = TakenIn(
                total.taken + done.taken, total.known + done.known, (*total.refused, *refused)
            )
            first += len(some)
    if as_json:
        print_json(total)
    else:
        click.echo(f"{_letters(total.taken)} taken in, {total.known} known already")
        for bad in total.refused:
            click.echo(f"line {bad.line} refused: {bad.why}", err=True)
    finish(ExitCode.FAILED if total.refused else ExitCode.DONE)


def purge_letters(chosen: Chosen, *, is_sure: bool, as_json: bool) -> None:
    """Throw dead letters away, once somebody is sure who has seen how many they are."""
    _require_some(chosen, "purge")
    trial = msgspec.structs.replace(chosen, dry_run=True)
    with supervisor() as client:
        done = client.ask("POST", f"{_ALL}/purge", Purged, body=trial)
        if not chosen.dry_run and done.jobs:
            what = f"throw away {_letters(done.jobs)} for good ({done.what})"
            confirm(what, is_sure=is_sure)
            done = client.ask("POST", f"{_ALL}/purge", Purged, body=chosen)
    if as_json:
        print_json(done)
        return
    if chosen.dry_run and done.groups:
        draw(shares_table(done.groups))
    said = "would go" if chosen.dry_run else "gone for good"
    click.echo(f"{_letters(done.jobs)} {said} ({done.what})")
    _say_notes(done.notes)


# --- inside --------------------------------------------------------------------------------------


def _of(job_id: str) -> str:
    return f"{_ALL}/{quoted(job_id)}"


def _query(chosen: Chosen) -> dict[str, object]:
    return {
        "pool": chosen.pool,
        "group": chosen.group,
        "code": chosen.code,
        "from": chosen.sender,
        "text": chosen.text,
        "older": chosen.older,
        "newer": chosen.newer,
    }


def _require_some(chosen: Chosen, verb: str) -> None:
    """Refuse an order that says nothing: all of them are meant only by saying so."""
    said = msgspec.structs.replace(chosen, every=False, limit=None, dry_run=False)
    if chosen.every is (said == Chosen()):
        return
    message = f"name one ID or more, or a filter like --group, or say --all: `dlq {verb} --help`"
    if chosen.every:
        message = "--all is for all dead letters there are; leave it out, or all else"
    raise click.UsageError(message)


def _edited(card: LetterCard, data: Text, changes: tuple[str, ...]) -> dict[str, object]:
    """Return the data as they are to be: given, changed field by field, or out of an editor."""
    if data is not None:
        found = _object(sys.stdin.read() if data == "-" else data, "--data")
    elif changes:
        found = _object(body_of(card.body), "its body")
    else:
        return _from_editor(card)
    return found | dict(_change(change) for change in changes)


def _from_editor(card: LetterCard) -> dict[str, object]:
    if not sys.stdin.isatty():
        message = "say what is to change: --set NAME=VALUE, or --data JSON"
        raise click.UsageError(message)
    body = body_of(card.body)
    try:
        before = msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        before = body.decode(errors="replace")
    after = click.edit(before, extension=".json")
    if after is None or after.strip() == before.strip():
        message = f"nothing was changed; `dlq retry {card.job.id}` runs it again as it is"
        raise Complaint(message)
    return _object(after, "what you wrote")


def _object(text: str | bytes, what: str) -> dict[str, object]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        message = f"{what} must be a JSON object, and is not JSON: {error}"
        raise Complaint(message, ExitCode.USAGE) from error
    if not isinstance(found, dict):
        message = f'{what} must be a JSON object, like {{"link": "..."}}'
        raise Complaint(message, ExitCode.USAGE)
    return found


def _change(said: str) -> tuple[str, object]:
    name, is_one, value = said.partition("=")
    if not is_one or not name:
        message = f"--set: must be NAME=VALUE, is {said!r}"
        raise click.UsageError(message)
    try:
        return name, msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return name, value


def _seconds(text: str, option: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        message = f"{option}: {error}"
        raise click.UsageError(message) from error


def _per_second(text: str) -> float:
    try:
        found = read_rate(text)
    except ValueError as error:
        message = f"--rate: {error}"
        raise click.UsageError(message) from error
    return found.jobs / found.seconds


def _write(lines: Iterator[bytes], stream: BinaryIO) -> int:
    number = 0
    for line in lines:
        stream.write(line)
        number += 1
    return number


def _parts(file: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield lines, as many at a time as one request takes."""
    some: list[bytes] = []
    size = 0
    for line in file:
        if some and (size + len(line) > LARGEST or len(some) == MOST_LINES):
            yield some
            some, size = [], 0
        some.append(line)
        size += len(line)
    if some:
        yield some


def _say_replayed(done: Replayed, *, as_json: bool, dry_run: bool = False) -> None:
    if as_json:
        print_json(done)
        return
    if dry_run and done.groups:
        draw(shares_table(done.groups))
    verb = "would run" if dry_run else "run" if done.jobs != 1 else "runs"
    last = f", the last of them in {span(done.seconds)}" if done.seconds else ""
    click.echo(f"{_letters(done.jobs)} {verb} again ({done.what}){last}")
    _say_notes(done.notes)
    if done.replay is not None and done.jobs:
        click.echo(f"replay {done.replay}: `dlq undo {done.replay}` takes back what has not begun")


def _say_notes(notes: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _letters(number: int) -> str:
    return f"{number:,} dead letter{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "1 job is a dead letter" if number == 1 else f"{number:,} jobs are dead letters"
