"""Working a pool off: by the supervisor there is, or by one of our own for as long as it takes."""

import os
import time
from dataclasses import dataclass

import click

from supervisor.cli.asking import line, refusals_said
from supervisor.cli.configured import runnable
from supervisor.cli.exits import Complaint, ExitCode, finish
from supervisor.cli.options import config_path, supervisor_url
from supervisor.cli.screen import print_json
from supervisor.cli.typed import seconds_in
from supervisor.client import Client, NoSupervisorError, quoted
from supervisor.config.mistakes import did_you_mean
from supervisor.core.on_demand import Summary, Wish, faults
from supervisor.ports import ControlError

_UNPUBLISHED = (
    "not published yet, as the broker did not take them: {} jobs. None of them is lost: the next "
    "supervisor or `work` with this state folder publishes them"
)
_LOOK = 0.3  # seconds between two looks at a run that another process does


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of ``work`` as they were typed."""

    pool: str
    max_jobs: int | None = None
    max_seconds: str | None = None
    until_empty: bool = True
    instances: int | None = None
    as_json: bool = False


def work_off(request: Request, again: tuple[str, ...] | None) -> None:
    """Have the pool worked off, say what came of it, and end with the code that tells it."""
    wish = wish_of(request)
    summary = _by_the_resident(request.pool, wish) or _alone(request.pool, wish, again)
    if request.as_json:
        print_json(summary)
    else:
        click.echo(words(summary))
    finish(code(summary))


def wish_of(request: Request) -> Wish:
    """Return what is asked for.

    Raises:
        UsageError: naming the option that is wrong.
    """
    time_limit = request.max_seconds
    wish = Wish(
        max_jobs=request.max_jobs,
        max_seconds=None if time_limit is None else seconds_in(time_limit, "--max-seconds"),
        until_empty=request.until_empty,
        instances=request.instances,
    )
    if fault := faults(wish):
        said = fault.replace("maxJobs", "--max-jobs").replace("maxSeconds", "--max-seconds")
        said = said.replace("untilEmpty: is false, and", "--wait:")
        raise click.UsageError(said)
    return wish


def code(summary: Summary) -> ExitCode:
    """Return how the command ends."""
    if summary.ended == "broker":
        return ExitCode.NO_BROKER
    if summary.ended not in {"empty", "jobs", "time"}:
        return ExitCode.FAILED
    if summary.unpublished:
        return ExitCode.NO_BROKER
    return ExitCode.JOBS_FAILED if summary.failed else ExitCode.DONE


def words(summary: Summary) -> str:
    """Return a summary as a few lines."""
    counts = [f"{summary.completed} completed", f"{summary.failed} failed"]
    retries = "1 retry" if summary.retried == 1 else f"{summary.retried} retries"
    counts += [retries] if summary.retried else []
    counts += [f"{summary.cancelled} cancelled"] if summary.cancelled else []
    waiting = "nobody knows how many" if summary.waiting is None else summary.waiting
    left = f"left: {waiting} waiting, {summary.delayed} delayed"
    lines = [
        f"{summary.pool}: {', '.join(counts)}, in {summary.seconds:.1f} s; {left}",
        f"ended because {summary.why}",
    ]
    lines += [_UNPUBLISHED.format(summary.unpublished)] if summary.unpublished else []
    return "\n".join([*lines, *(f"failed: {job}" for job in summary.failures)])


def _by_the_resident(pool: str, wish: Wish) -> Summary | None:
    """Have the running supervisor do it, and wait; None if there is none on this machine."""
    path = f"/api/pools/{quoted(pool)}/run"
    with Client(line()) as client:
        try:
            summary = client.ask("POST", path, Summary, query={"wait": "false"}, body=wish)
        except NoSupervisorError as error:
            if supervisor_url() is None:
                return None
            raise Complaint(str(error)) from error
        except ControlError as error:
            raise Complaint(str(error)) from error
        with refusals_said():
            return _ended(client, path, summary)


def _ended(client: Client, path: str, summary: Summary) -> Summary:
    """Return the summary of a run of the supervisor's once it is over."""
    try:
        while summary.running:
            time.sleep(_LOOK)
            summary = client.ask("GET", path, Summary)
    except KeyboardInterrupt:
        said = f"the supervisor goes on with the run of {summary.pool} until that ends by itself"
        click.echo(f"\n{said}", err=True)
        raise
    return summary


def _alone(pool: str, wish: Wish, again: tuple[str, ...] | None) -> Summary:
    from supervisor import guard

    if again is not None and guard.is_wanted():
        guard.take_over(again)
    found = runnable()
    if pool not in found.settings.workers:
        message = f"there is no pool {pool}; {did_you_mean(pool, tuple(found.settings.workers))}"
        raise Complaint(message)
    from supervisor.errand import ErrandError, work

    for name in found.private:
        os.environ.pop(name, None)  # workers are told what they need, their tools nothing
    try:
        return work(found.settings, pool, wish, config_path=config_path())
    except ErrandError as error:
        raise Complaint(str(error)) from error
