"""Whose turn it is at an embedded queue."""

from hypothesis import given
from hypothesis import strategies as st

from supervisor.ledger.subscriptions import Client, Consumer, Queue


def queue_of(*prefetches: int) -> Queue:
    queue = Queue("clips")
    client = Client("w-1", receive=print)
    for n, prefetch in enumerate(prefetches):
        queue.consumers.append(Consumer(client, f"c{n}", "clips", prefetch))
    return queue


def deal(queue: Queue, count: int) -> list[str]:
    """Hand messages out until nobody takes more, and return who got them."""
    dealt = []
    for _ in range(count):
        consumer = queue.next_free()
        if consumer is None:
            break
        consumer.in_hand += 1
        dealt.append(consumer.name)
    return dealt


def test_consumers_take_turns_and_full_ones_are_passed_by() -> None:
    assert deal(queue_of(1, 3, 2), 10) == ["c0", "c1", "c2", "c1", "c2", "c1"]


def test_nobody_takes_from_a_queue_without_consumers() -> None:
    assert queue_of().next_free() is None


def test_a_consumer_that_left_has_no_turn() -> None:
    queue = queue_of(1, 1)
    leaving = queue.consumers[0]

    queue.remove(leaving)
    queue.remove(leaving)

    assert deal(queue, 5) == ["c1"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 60))
def test_hands_are_filled_evenly_and_never_beyond_the_prefetch(
    prefetches: list[int], count: int
) -> None:
    queue = queue_of(*prefetches)

    dealt = deal(queue, count)

    assert len(dealt) == min(count, sum(prefetches))
    with_room = [consumer.in_hand for consumer in queue.consumers if consumer.free]
    assert max(with_room, default=0) - min(with_room, default=0) <= 1
