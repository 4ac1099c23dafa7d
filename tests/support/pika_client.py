"""Another program, as people write them with pika; does what the one in Node does."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

from consumers.clock import SystemClock

DIRECT = "amq.rabbitmq.reply-to"
JOBS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "urgent": {"priority": 5},
    "named": {"headers": {"x-job-priority": "high"}},
    "late": {"headers": {"x-delay": 500}},
    "direct": {"reply_to": DIRECT},
    "refused": {},
}
BODIES: Mapping[str, Mapping[str, object]] = {
    "refused": {"do": "reject"},
    "direct": {"do": "fail", "times": 1},
}
WITHIN = 60.0  # seconds


def main(url: str, queue: str) -> dict[str, dict[str, Any]]:
    """Publish jobs; return their events and replies once all are over, and when each was sent."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.queue_declare(queue, durable=True)
    channel.exchange_declare("supervisor.events", "topic", durable=True)
    ear = channel.queue_declare("", exclusive=True).method.queue
    answers = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(ear, "supervisor.events", f"{queue}.*")
    events: dict[str, list[str]] = {}
    replies: dict[str, Any] = {}
    sent: dict[str, float] = {}

    def hear_event(_: BlockingChannel, __: object, own: pika.BasicProperties, body: bytes) -> None:
        events.setdefault(json.loads(body)["id"], []).append(str(own.type))

    def hear_reply(_: BlockingChannel, __: object, own: pika.BasicProperties, body: bytes) -> None:
        replies[str(own.correlation_id)] = json.loads(body)

    channel.basic_consume(ear, hear_event, auto_ack=True)
    channel.basic_consume(answers, hear_reply, auto_ack=True)
    channel.basic_consume(DIRECT, hear_reply, auto_ack=True)
    for name, options in JOBS.items():
        own = {"message_id": name, "correlation_id": name, "reply_to": answers} | dict(options)
        body = json.dumps({"name": name} | dict(BODIES.get(name, {})))
        sent[name] = SystemClock().utcnow().timestamp()
        channel.basic_publish("", queue, body.encode(), pika.BasicProperties(**own))
    until = time.monotonic() + WITHIN
    while not _is_over(events, replies) and time.monotonic() < until:
        connection.process_data_events(time_limit=0.1)
    connection.close()
    return {"events": events, "replies": replies, "sent": sent}


def _is_over(events: Mapping[str, list[str]], replies: Mapping[str, object]) -> bool:
    ended = {name for name, told in events.items() if told[-1] in {"completed", "failed"}}
    return JOBS.keys() <= ended & replies.keys()
