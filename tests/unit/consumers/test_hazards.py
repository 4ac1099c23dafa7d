"""What is said of queues that throw messages away."""

import pytest

from consumers.hazards import hazards
from consumers.topology import pool_queues

POOL = pool_queues("clips")


Arguments = dict[str, str | int]


def said(queue: str, own: Arguments, *, peer: str = "RabbitMQ 4.0.5") -> list[str]:
    return list(hazards(POOL, {queue: own}, peer=peer))


def test_queues_that_were_declared_plainly_are_no_danger() -> None:
    plain = {"x-queue-type": "classic"}

    assert hazards(POOL, {POOL.public: plain, POOL.dead: plain}, peer="RabbitMQ 4.0.5") == ()
    assert hazards(POOL, {}, peer="") == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x-max-length": 5}, "clips_dlq throws its oldest away beyond 5 messages"),
        ({"x-max-length-bytes": 5, "x-overflow": "drop-head"}, "beyond 5 bytes, without a word"),
        ({"x-max-length": 5, "x-overflow": "reject-publish"}, "takes nothing beyond 5 messages"),
        ({"x-message-ttl": 1500}, "clips_dlq throws messages away after 1.5 s"),
        ({"x-expires": 60000}, "is deleted when unused for 60 s"),
        ({"durable": False}, "clips_dlq is not durable"),
    ],
)
def test_a_queue_that_loses_messages_is_named(arguments: Arguments, words: str) -> None:
    (sentence,) = said(POOL.dead, arguments)

    assert words in sentence


@pytest.mark.parametrize(
    ("peer", "limit", "words"),
    [
        ("RabbitMQ 3.10.8", None, []),
        ("RabbitMQ 3.10.8", 5, ["more than 5 times"]),
        ("RabbitMQ 4.0.5", None, ["more than 20 times (the default)"]),
        ("RabbitMQ 4.0.5", -1, []),
        ("RabbitMQ 4.0.5", 1, ["more than 1 times", "too few for us"]),
    ],
)
def test_a_queue_that_counts_returns_is_named_with_its_limit(
    peer: str, limit: int | None, words: list[str]
) -> None:
    own: Arguments = {"x-queue-type": "quorum"}
    if limit is not None:
        own["x-delivery-limit"] = limit

    sentences = said(POOL.public, own, peer=peer)

    assert len(sentences) == len(words)
    assert all(word in sentence for word, sentence in zip(words, sentences, strict=True))
