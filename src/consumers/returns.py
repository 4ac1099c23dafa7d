"""Queues that count how often a message came back, and throw it away when it was too often.

A quorum queue may have a delivery limit, from RabbitMQ 4.0 on one of 20 by default; every lost
connection and every message given back counts. Nothing of ours may wear a message out: before
that it is replaced by a copy in the pool's private lane, where nobody counts.
"""

from consumers import copies, jobs
from consumers.broker.port import Delivery, Message
from consumers.topology import PoolQueues

TIRED = 2  # returns; limits are rarely below 3


class Returns:
    """What is known of how a pool's public queue counts."""

    def __init__(self, queues: PoolQueues) -> None:
        self._queues = queues
        self._is_counting = False

    def notice(self, delivery: Delivery) -> None:
        """Learn from a delivery whether its queue counts."""
        if delivery.queue != self._queues.public:
            return
        if jobs.DELIVERY_COUNT in delivery.message.properties.headers:
            self._is_counting = True
        elif delivery.redelivered:  # some versions begin to count with the first return
            self._is_counting = False

    def is_tired(self, delivery: Delivery) -> bool:
        """Answer whether a delivery came back so often that it must be replaced before it runs."""
        return delivery.queue == self._queues.public and _count(delivery.message) >= TIRED

    def would_wear(self, delivery: Delivery) -> bool:
        """Answer whether giving a delivery back would bring it nearer to its end."""
        return delivery.queue == self._queues.public and (
            self._is_counting or jobs.DELIVERY_COUNT in delivery.message.properties.headers
        )

    def copy(self, delivery: Delivery, *, job_id: str = "") -> Message:
        """Return the copy that takes a delivery's place in the lane.

        A message without an id is recognised by its words and by having been delivered before
        (decision 7). The copy would have neither, so it carries both.
        """
        own = delivery.message.properties
        if job_id or jobs.JOB_ID in own.headers or own.message_id:
            return copies.refreshed(delivery.message, **({jobs.JOB_ID: job_id} if job_id else {}))
        told: dict[str, object] = {
            jobs.FINGERPRINT: jobs.fingerprint(self._queues.public, delivery.message.body, own)
        }
        if delivery.redelivered:
            told[jobs.REDELIVERED] = True
        return copies.refreshed(delivery.message, **told)


def _count(message: Message) -> int:
    count = message.properties.headers.get(jobs.DELIVERY_COUNT, 0)
    return count if isinstance(count, int) else 0
