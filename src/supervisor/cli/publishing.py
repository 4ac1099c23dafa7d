"""Handing in a job: through the running supervisor, or straight to RabbitMQ when there is none."""

from collections.abc import Mapping

import click
import msgspec

from consumers.clock import SystemClock
from consumers.errors import MalformedError
from supervisor.cli import local_files
from supervisor.cli.asking import refusals_said, supervisor
from supervisor.cli.configured import settings
from supervisor.cli.exits import Complaint, ExitCode, finish
from supervisor.cli.family_tree import below
from supervisor.cli.jobs_table import job_card
from supervisor.cli.options import supervisor_url
from supervisor.cli.request import Request, order_of
from supervisor.cli.screen import print_json, show
from supervisor.cli.waiting import Ended, wait_for
from supervisor.client import Client, NoSupervisorError
from supervisor.config.mistakes import did_you_mean
from supervisor.config.settings import Settings
from supervisor.config.values import EMBEDDED
from supervisor.core.chains import check
from supervisor.core.delays import timing
from supervisor.core.records import JobRecord, JobState
from supervisor.orders import as_ordered, data_of
from supervisor.ports import BadOrderError, Order


def publish_job(request: Request) -> None:
    """Hand in the job, wait if asked, and say what came of it."""
    order = order_of(request)
    ended = _publish_here(order, request) if supervisor_url() is None else _publish(order, request)
    _say(ended, request)
    finish(ExitCode.DONE if ended.is_success else ExitCode.FAILED)


def _publish(order: Order, request: Request) -> Ended:
    """Hand the job to a supervisor elsewhere; what files lie there, only it knows."""
    with supervisor() as client:
        return _followed(client, client.submit(order), request)


def _publish_here(order: Order, request: Request) -> Ended:
    found = settings()
    if request.file is not None:
        local_files.require(request.file, request.pool, found)
    with refusals_said(), Client(found.socket) as client:
        try:
            job = client.submit(order)
        except NoSupervisorError as error:
            job = _publish_alone(found, order, error, wait=request.wait)
        return _followed(client, job, request)


def _followed(client: Client, job: JobRecord, request: Request) -> Ended:
    if not request.wait:
        return Ended(job)
    try:
        return wait_for(client, job, quiet=request.as_json)
    except KeyboardInterrupt:
        said = f"job {job.id} goes on; look at it with: python -m supervisor show {job.id}"
        click.echo(f"\n{said}", err=True)
        raise


def _publish_alone(
    found: Settings, order: Order, nobody: NoSupervisorError, *, wait: bool
) -> JobRecord:
    if wait:
        message = f"--wait asks the supervisor how the job fares, but {nobody}"
        raise Complaint(message) from nobody
    if order.deduplicate is not None:
        message = f"--unique asks the supervisor which job has the key, but {nobody}"
        raise Complaint(message) from nobody
    if found.broker == EMBEDDED:
        message = f"embedded queues take jobs through the supervisor, but {nobody}"
        raise Complaint(message) from nobody
    return _publish_directly(found, order)


def _publish_directly(found: Settings, order: Order) -> JobRecord:
    # Here, because aio-pika takes half a second to import and is seldom needed.
    from consumers.errors import BrokerError, ForbiddenError, UnreachableError
    from supervisor.cli.direct import publish

    pool = found.workers.get(order.pool)
    if pool is None:
        message = f"there is no pool {order.pool}; {did_you_mean(order.pool, tuple(found.workers))}"
        raise Complaint(message)
    try:
        order = msgspec.structs.replace(_soon(order), data=_data(order, found), then=None)
        return publish(found.broker, pool, order)
    except BrokerError as error:
        message = f"the job is not published: {error}"
        is_away = isinstance(error, UnreachableError | ForbiddenError)
        raise Complaint(message, ExitCode.NO_BROKER if is_away else ExitCode.FAILED) from error


def _data(order: Order, found: Settings) -> Mapping[str, object]:
    """Return the body with what is to follow, which must be possible here."""
    try:
        data = data_of(order)
        check(data, found.workers)
    except BadOrderError as error:
        raise Complaint(str(error), ExitCode.USAGE) from error
    except MalformedError as error:
        said = as_ordered(error, is_apart=order.then is not None)
        raise Complaint(said, ExitCode.USAGE) from error
    return data


def _soon(order: Order) -> Order:
    """Return the order with the seconds it waits; the broker alone does not wait for months."""
    when = timing(order.delay, order.run_at, now=SystemClock().utcnow())
    if when.post_at is not None:
        message = "so far ahead a job waits in the supervisor's ledger, and no supervisor runs here"
        raise Complaint(message)
    return msgspec.structs.replace(order, delay=when.delay, run_at=None)


def _say(ended: Ended, request: Request) -> None:
    job, family = ended.job, ended.family
    if request.as_json:
        print_json(job if family is None else msgspec.to_builtins(job) | {"family": family})
    elif request.wait:
        came = None if family is None else below(job, family)
        show(job_card(job, brief=True, below=came))
    else:
        where = f"job {job.id} is {job.state.value} in {job.queue}"
        if job.state is JobState.PENDING:
            where = f"{where}: it is stored, and is published when its turn comes"
        click.echo(where)
