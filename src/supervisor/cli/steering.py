"""Steering jobs from the command line: each is asked for, and what became of it is said."""

import enum
from collections.abc import Sequence

import click

from supervisor.cli.asking import supervisor
from supervisor.cli.exits import ExitCode, finish
from supervisor.cli.screen import print_json
from supervisor.cli.typed import level_in
from supervisor.client import Client, quoted
from supervisor.core.records import JobRecord, JobState
from supervisor.desks.steering import PriorityOrder
from supervisor.ports import UnknownJobError, WrongStateError


class Verb(enum.Enum):
    """What can be done with a job by its id alone: the method, and what follows the id."""

    RETRY = ("POST", "/retry")
    CANCEL = ("POST", "/cancel")
    PROMOTE = ("POST", "/promote")
    REMOVE = ("DELETE", "")


def steer(verb: Verb, job_ids: Sequence[str], *, as_json: bool) -> None:
    """Do one thing with each of these jobs; what is refused is said, and the others go on."""
    done: list[JobRecord] = []
    refused: list[str] = []
    with supervisor() as client:
        for job_id in job_ids:
            try:
                done.append(_ask(client, verb, job_id))
            except (UnknownJobError, WrongStateError) as error:
                refused.append(str(error))
    _say(done, as_json=as_json)
    for why in refused:
        click.echo(f"Error: {why}", err=True)
    finish(ExitCode.FAILED if refused else ExitCode.DONE)


def reprioritize(job_id: str, level: str, *, as_json: bool) -> None:
    """Change how urgent a job is."""
    with supervisor() as client:
        path = f"/api/jobs/{quoted(job_id)}/priority"
        job = client.ask("PUT", path, JobRecord, body=PriorityOrder(level_in(level)))
    _say([job], as_json=as_json)


def _ask(client: Client, verb: Verb, job_id: str) -> JobRecord:
    method, rest = verb.value
    return client.ask(method, f"/api/jobs/{quoted(job_id)}{rest}", JobRecord)


def _say(jobs: Sequence[JobRecord], *, as_json: bool) -> None:
    if as_json:
        print_json(jobs)
        return
    for job in jobs:
        click.echo(f"job {job.id} is {_state(job)} in {job.queue}")


def _state(job: JobRecord) -> str:
    if job.state is JobState.ACTIVE:
        return "active still"
    if job.state is JobState.PENDING:
        return f"pending, {job.priority.word}: it is published when the broker takes it"
    return f"{job.state.value}, {job.priority.word}" if not job.state.is_final else job.state.value
