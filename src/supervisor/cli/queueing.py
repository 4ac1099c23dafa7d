"""Asking for what is to be done with queues, and showing what they hold."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import click
import msgspec
from rich.table import Table

from supervisor.cli.asking import supervisor
from supervisor.cli.confirming import confirm
from supervisor.cli.screen import print_json, span, table
from supervisor.cli.screen import show as draw
from supervisor.cli.status_table import queues_table
from supervisor.cli.typed import seconds_in
from supervisor.client import Client, quoted
from supervisor.config.values import rate as read_rate
from supervisor.core.records import JobState
from supervisor.desks.pools import PoolView
from supervisor.desks.queues import (
    Cleaned,
    CleanOrder,
    Drained,
    Pause,
    PauseOrder,
    QueueCard,
    Retried,
    RetryOrder,
)
from supervisor.ports import QueueView, UnknownGroupError

_ALL = "/api/queues"
AT_ONCE = 2_000  # jobs that one request is about: it is answered in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """The options of ``retry-failed`` as they were typed."""

    older: str | None = None
    newer: str | None = None
    limit: int | None = None
    rate: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """The options of ``clean`` as they were typed."""

    state: str
    older: str
    limit: int


def show_queues(*, as_json: bool) -> None:
    """Show what is in every queue."""
    with supervisor() as client:
        found = client.ask("GET", _ALL, tuple[QueueView, ...])
    if as_json:
        print_json(found)
    else:
        draw(queues_table(found))


def show_queue(pool: str, *, as_json: bool) -> None:
    """Show one queue: its jobs by state, and how long the oldest waits."""
    with supervisor() as client:
        found = client.ask("GET", _of(pool), QueueCard)
    if as_json:
        print_json(found)
    else:
        draw(_card(found))


def pause_queues(pool: str | None, why: str, *, as_json: bool) -> None:
    """Pause a pool, or all."""
    path, body = f"{_of(pool)}/pause", PauseOrder(why=why)
    with supervisor() as client:
        if pool is None:
            done = client.ask("POST", path, tuple[Pause, ...], body=body)
        else:
            done = (client.ask("POST", path, Pause, body=body),)
    _say_pauses(done, as_json=as_json)


def resume_queues(pool: str | None, *, as_json: bool) -> None:
    """Let a pool go on, or all."""
    path = f"{_of(pool)}/resume"
    with supervisor() as client:
        if pool is None:
            done = client.ask("POST", path, tuple[Pause, ...])
        else:
            done = (client.ask("POST", path, Pause),)
    _say_pauses(done, as_json=as_json)


def drain_queue(pool: str, *, delayed: bool, is_sure: bool, as_json: bool) -> None:
    """Remove what waits, once somebody is sure."""
    what = "all jobs that wait or are delayed" if delayed else "all jobs that wait"
    with supervisor() as client:
        if not is_sure:
            _look(client, pool)
        confirm(f"remove {what} in the queue of {pool}", is_sure=is_sure)
        query = {"delayed": "true" if delayed else "false"}
        done = client.ask("POST", f"{_of(pool)}/drain", Drained, query=query)
    if as_json:
        print_json(done)
    else:
        messages = "1 message" if done.messages == 1 else f"{done.messages} messages"
        jobs = "1 job of the ledger is" if done.jobs == 1 else f"{done.jobs} jobs of the ledger are"
        click.echo(f"{done.queue}: {messages} thrown away, {jobs} removed")


def clean_queue(pool: str, wanted: Cleaning, *, is_sure: bool, as_json: bool) -> None:
    """Remove finished jobs, once somebody is sure."""
    age, limit, state = seconds_in(wanted.older, "--older"), wanted.limit, wanted.state
    total, done = 0, None
    with supervisor() as client:
        if not is_sure:
            _look(client, pool)
        confirm(f"remove up to {limit} {state} jobs of {pool} for good", is_sure=is_sure)
        while done is None or (done.jobs == AT_ONCE and total < limit):
            order = CleanOrder(JobState(state), age, min(AT_ONCE, limit - total))
            done = client.ask("POST", f"{_of(pool)}/clean", Cleaned, body=order)
            total += done.jobs
    if as_json:
        print_json(msgspec.structs.replace(done, jobs=total))
        return
    gone = f"1 {state} job is" if total == 1 else f"{total} {state} jobs are"
    click.echo(f"{done.queue}: {gone} gone for good{_kept(done)}")


def retry_queue(pool: str, wanted: Retrying, *, as_json: bool) -> None:
    """Have failed jobs run again."""
    order = RetryOrder(
        older=None if wanted.older is None else seconds_in(wanted.older, "--older"),
        newer=None if wanted.newer is None else seconds_in(wanted.newer, "--newer"),
        limit=wanted.limit,
        rate=None if wanted.rate is None else _per_second(wanted.rate),
        group=wanted.group,
    )
    with supervisor() as client:
        done = _retried(client, pool, order)
    if as_json:
        print_json(done)
        return
    last = f", the last of them in {span(done.seconds)}" if done.seconds else ""
    click.echo(f"{done.queue}: {done.jobs} failed jobs run again{last}")


def _look(client: Client, pool: str) -> None:
    """See that there is such a pool, ere anybody is asked. Raises UnknownPoolError."""
    client.ask("GET", f"/api/pools/{quoted(pool)}", PoolView)


def _kept(done: Cleaned) -> str:
    """Return how many jobs stay because of their chain, and until when."""
    if not done.kept:
        return ""
    stay = "1 stays" if done.kept == 1 else f"{done.kept:,} stay"
    return f"; {stay}, until their chain is over and what came of them is gone"


def _retried(client: Client, pool: str, order: RetryOrder) -> Retried:
    """Ask in parts, until there are no more; what fails once more meanwhile is left alone."""
    began, limit, total = time.monotonic(), order.limit or math.inf, 0
    done: Retried | None = None
    while True:
        passed = time.monotonic() - began if total else 0.0
        part = msgspec.structs.replace(
            order,
            limit=int(min(AT_ONCE, limit - total)),
            older=_shifted(order.older or (0.0 if total else None), passed),
            newer=_shifted(order.newer, passed),
            after=total / order.rate if order.rate else 0.0,
        )
        done = _retried_part(client, pool, part, done)
        total += done.jobs
        if done.jobs < AT_ONCE or total >= limit:
            seconds = (total - 1) / order.rate if order.rate and total else 0.0
            return Retried(done.pool, done.queue, total, seconds)


def _retried_part(client: Client, pool: str, part: RetryOrder, before: Retried | None) -> Retried:
    """Ask for one part; a group of which the part before it left nothing is not mistyped."""
    try:
        return client.ask("POST", f"{_of(pool)}/retry-failed", Retried, body=part)
    except UnknownGroupError:
        if before is None:
            raise
        return msgspec.structs.replace(before, jobs=0)


def _shifted(age: float | None, passed: float) -> float | None:
    return None if age is None else age + passed


def _of(pool: str | None) -> str:
    return _ALL if pool is None else f"{_ALL}/{quoted(pool)}"


def _per_second(text: str) -> float:
    try:
        found = read_rate(text)
    except ValueError as error:
        message = f"--rate: {error}"
        raise click.UsageError(message) from error
    return found.jobs / found.seconds


def _say_pauses(done: Sequence[Pause], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    for each in done:
        how = f"is paused: {each.why}" if each.paused else "is consumed"
        click.echo(f"{each.pool}: {each.queue} {how}")


def _card(found: QueueCard) -> Table:
    made = table("Queue", found.queue)
    made.add_row("pool", found.pool)
    made.add_row("paused", found.why if found.paused else "no")
    made.add_row("workers", str(found.workers))
    made.add_row("ready", "?" if found.ready is None else str(found.ready))
    made.add_row("oldest waits for", "-" if found.oldest is None else span(found.oldest))
    for state, jobs in found.states.items():
        made.add_row(state, str(jobs))
    for warning in found.warnings:
        made.add_row("look at", warning)
    return made
