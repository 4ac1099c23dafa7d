"""The answer to ``reply_to``: best effort, it never delays or fails the job."""

import asyncio
from collections.abc import Awaitable, Mapping

import msgspec

from consumers import logs
from consumers.broker.port import Message, Session
from consumers.errors import BrokerError
from consumers.jobs import Properties

PATIENCE = 5.0  # seconds: an alarm of the broker may last for hours, and the ack is still to come

log = logs.get(__name__)


async def reply(way: Awaitable[Session], asked: Properties, answer: Mapping[str, object]) -> None:
    """Publish the outcome of a job to the queue its publisher named in ``reply_to``."""
    properties = Properties(
        correlation_id=asked.correlation_id or asked.message_id,
        content_type="application/json",
    )
    try:
        message = Message(msgspec.json.encode(answer), properties)
        async with asyncio.timeout(PATIENCE):
            session = await way
            await session.publish(asked.reply_to or "", message)
    except TimeoutError:
        log.warning("reply not sent in time", reply_to=asked.reply_to, waited=PATIENCE)
    except BrokerError as error:
        log.warning("nobody to reply to", reply_to=asked.reply_to, why=str(error))
