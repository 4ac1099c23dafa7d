"""Steering jobs from the command line: each is asked for, and what became of it is said.

What is done to a job may be done to all that came of it: how many these are is said as well.
"""

import enum
from collections.abc import Sequence

import click

from supervisor.cli.asking import supervisor
from supervisor.cli.confirming import confirm
from supervisor.cli.descent import came_of_it, cancelled_words, removal_words, retry_hint, what_goes
from supervisor.cli.exits import ExitCode, finish
from supervisor.cli.screen import moment, print_json
from supervisor.cli.typed import level_in
from supervisor.client import Client, quoted
from supervisor.core.records import Chain, JobRecord, JobState
from supervisor.desks.steering import PriorityOrder
from supervisor.ports import ControlError, UnknownJobError, WrongStateError


class Verb(enum.Enum):
    """What can be done with a job by its id alone: the method, and what follows the id."""

    RETRY = ("POST", "/retry")
    CANCEL = ("POST", "/cancel")
    PROMOTE = ("POST", "/promote")
    REMOVE = ("DELETE", "")


_ALL = frozenset({Verb.CANCEL, Verb.REMOVE})  # what concerns all that came of a job


def steer(verb: Verb, job_ids: Sequence[str], *, as_json: bool) -> None:
    """Do one thing with each of these jobs; what is refused is said, and the others go on."""
    with supervisor() as client:
        before = [_chain(client, job_id) if verb in _ALL else None for job_id in job_ids]
        _steer(client, verb, job_ids, before, as_json=as_json)


def remove_jobs(job_ids: Sequence[str], *, is_sure: bool, as_json: bool) -> None:
    """Remove jobs and what came of them, once somebody who knows how many is sure."""
    with supervisor() as client:
        before = [_chain(client, job_id) for job_id in job_ids]
        below = sum(came_of_it(chain) for chain in before if chain)
        confirm(what_goes(len(job_ids), below), is_sure=is_sure)
        _steer(client, Verb.REMOVE, job_ids, before, as_json=as_json)


def _steer(
    client: Client,
    verb: Verb,
    job_ids: Sequence[str],
    before: Sequence[Chain | None],
    *,
    as_json: bool,
) -> None:
    done: list[JobRecord] = []
    words: list[str] = []
    refused: list[str] = []
    for job_id, chain in zip(job_ids, before, strict=True):
        try:
            job = _ask(client, verb, job_id)
        except (UnknownJobError, WrongStateError) as error:
            refused.append(f"{error}{_hint(client, verb, job_id)}")
            continue
        done.append(job)
        words.append(_words(job) + _of_the_rest(client, verb, job, chain))
    if as_json:
        print_json(done)
    else:
        for said in words:
            click.echo(said)
    for why in refused:
        click.echo(f"Error: {why}", err=True)
    finish(ExitCode.FAILED if refused else ExitCode.DONE)


def reprioritize(job_id: str, level: str, *, as_json: bool) -> None:
    """Change how urgent a job is."""
    with supervisor() as client:
        path = f"/api/jobs/{quoted(job_id)}/priority"
        job = client.ask("PUT", path, JobRecord, body=PriorityOrder(level_in(level)))
    if as_json:
        print_json([job])
    else:
        click.echo(_words(job))


def _ask(client: Client, verb: Verb, job_id: str) -> JobRecord:
    method, rest = verb.value
    return client.ask(method, f"/api/jobs/{quoted(job_id)}{rest}", JobRecord)


def _chain(client: Client, job_id: str) -> Chain | None:
    """Return how a job and what came of it stand; None: there is no such job."""
    try:
        return client.family(job_id, limit=0).chain
    except (UnknownJobError, WrongStateError):
        return None


def _chain_now(client: Client, job_id: str) -> Chain | None:
    """Return how they stand after something was done; that it was is said in any case."""
    try:
        return _chain(client, job_id)
    except ControlError:
        return None


def _of_the_rest(client: Client, verb: Verb, job: JobRecord, before: Chain | None) -> str:
    """Return what became of those that came of a job, if it was meant for them too."""
    if before is None:
        return ""
    if verb is Verb.REMOVE:
        return removal_words(job, before)
    after = _chain_now(client, job.id) if job.state is JobState.COMPLETED else None
    return "" if after is None else cancelled_words(before, after)


def _hint(client: Client, verb: Verb, job_id: str) -> str:
    chain = _chain_now(client, job_id) if verb is Verb.RETRY else None
    return "" if chain is None else retry_hint(job_id, chain)


def _words(job: JobRecord) -> str:
    return f"job {job.id} is {_state(job)}, in {job.queue}{_beginning(job)}"


def _beginning(job: JobRecord) -> str:
    if job.state is not JobState.PENDING:
        return ""
    if job.due_at is None:
        return ": it is about to be published"
    return f": it does not run before {moment(job.due_at)}"


def _state(job: JobRecord) -> str:
    if job.state is JobState.ACTIVE:
        return "active still"
    return f"{job.state.value}, {job.priority.word}" if not job.state.is_final else job.state.value
