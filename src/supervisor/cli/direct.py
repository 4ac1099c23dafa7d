"""Publishing without a supervisor: straight to RabbitMQ, as any program could."""

import asyncio
import uuid

import msgspec

from consumers.broker.port import Message
from consumers.broker.rabbitmq import RabbitBroker
from consumers.errors import MalformedError, UnreachableError
from consumers.jobs import MAX_ATTEMPTS, PRIORITY, Priority, Properties, priority_named
from consumers.topology import pool_queues
from supervisor.cli.exits import Complaint, ExitCode
from supervisor.config.settings import Pool
from supervisor.core.records import JobRecord, JobState
from supervisor.ports import Order

_PATIENCE = 60.0  # seconds for all of it


def publish(url: str, pool: Pool, order: Order) -> JobRecord:
    """Return the job once the broker has confirmed it; its id is new unless the order names one.

    Raises:
        BrokerError: it is not known to be stored.
    """
    job = JobRecord(
        id=order.id or uuid.uuid4().hex,
        pool=pool.name,
        queue=pool.queue,
        state=JobState.DELAYED if order.delay else JobState.WAITING,
        priority=_priority(pool, order),
        data=order.data,
        sender=str(order.data.get("from", "")),
        noreply=bool(order.data.get("noreply", False)),
        name=order.name,
        max_attempts=order.max_attempts,
    )
    try:
        asyncio.run(asyncio.wait_for(_publish(url, pool, job, order.delay), _PATIENCE))
    except TimeoutError as error:
        message = f"the broker did not answer within {_PATIENCE:g} s"
        raise UnreachableError(message) from error
    return job


def _priority(pool: Pool, order: Order) -> Priority:
    try:
        return priority_named(order.priority, pool.priority_map)
    except MalformedError as error:
        message = f"priority{error.message.removeprefix(error.field)}"
        raise Complaint(message, ExitCode.USAGE) from error


async def _publish(url: str, pool: Pool, job: JobRecord, delay: float) -> None:
    queues = pool_queues(pool.queue, dead=pool.dead_letter)
    is_plain = job.priority is Priority.NORMAL and not delay
    headers: dict[str, object] = {} if is_plain else {PRIORITY: job.priority.word}
    if job.max_attempts is not None:
        headers[MAX_ATTEMPTS] = job.max_attempts
    properties = Properties(
        message_id=job.id,
        content_type="application/json",
        type=job.name or None,
        headers=headers,
    )
    message = Message(msgspec.json.encode(job.data), properties)
    session = await RabbitBroker(url).connect()
    try:
        await session.declare(queues)
        await session.publish(queues.public if is_plain else queues.priority, message, delay=delay)
    finally:
        await session.close()
