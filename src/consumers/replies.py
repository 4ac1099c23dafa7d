"""The answer to ``reply_to``: best effort, it never delays or fails the job."""

from collections.abc import Mapping

import msgspec

from consumers import logs
from consumers.broker.port import Message, Session
from consumers.errors import BrokerError
from consumers.jobs import Properties

log = logs.get(__name__)


async def reply(session: Session, asked: Properties, answer: Mapping[str, object]) -> None:
    """Publish the outcome of a job to the queue its publisher named in ``reply_to``."""
    properties = Properties(
        correlation_id=asked.correlation_id or asked.message_id,
        content_type="application/json",
    )
    try:
        message = Message(msgspec.json.encode(answer), properties)
        await session.publish(asked.reply_to or "", message)
    except BrokerError as error:
        log.warning("nobody to reply to", reply_to=asked.reply_to, why=str(error))
