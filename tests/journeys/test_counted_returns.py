"""Quorum queues throw away what came back too often; nothing of ours may come to that."""

import pytest

from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.rabbitmq import PrivateRabbit

pytestmark = [pytest.mark.journey, pytest.mark.rabbitmq, pytest.mark.timeout(90)]

# When the queue has a consumer let it get its deliveries, then close its connection. A worker
# without a free slot has none: closed all the same, it opens its lanes again.
CLOSE = """
Vhost = <<"{vhost}">>,
Consumed = fun() -> [1 || One <- rabbit_amqqueue:consumers_all(Vhost),
    {{queue_name, {{resource, _, queue, <<"toy_queue">>}}}} <- One] =/= [] end,
Wait = fun Again(0) -> ok; Again(Looks) ->
    case Consumed() of true -> ok; false -> timer:sleep(20), Again(Looks - 1) end end,
[begin Wait(50), timer:sleep(100), rabbit_networking:close_all_connections("test"),
    timer:sleep(50) end || _ <- lists:seq(1, {times})].
"""
AT_ONCE = 11  # connections closed by one command, which has a deadline


@pytest.mark.invariant(1)
@pytest.mark.parametrize(
    ("node", "limit", "rounds"), [("rabbit", 5, 1), ("rabbit4", None, 2)], ids=["3.10", "4.0"]
)
def test_a_queue_with_a_delivery_limit_throws_nothing_of_ours_away(
    request: pytest.FixtureRequest,
    configured: Configured,
    *,
    node: str,
    limit: int | None,  # None: the version's own, which is 20
    rounds: int,
) -> None:
    rabbit: PrivateRabbit = request.getfixturevalue(node)
    url = rabbit.fresh_vhost()
    own: dict[str, object] = {"x-queue-type": "quorum"}
    if limit is not None:
        own["x-delivery-limit"] = limit
    publisher.declare(url, "toy_queue", own)
    program = configured({"toy": {}}, url).start()
    first = {"do": "wait", "gate": "end", "name": "urgent"}
    publisher.send(url, "toy_queue", first, priority=9)
    program.wait_until(lambda: processors.runs(program.media), "the urgent job to take the slot")
    names = ["a", "a", "b"]
    publisher.send(url, "toy_queue", *[{"name": name} for name in names])

    for _ in range(rounds):
        rabbit.ctl("eval", CLOSE.format(vhost=url.rpartition("/")[2], times=AT_ONCE))
    processors.open_gate(program.media, "end")
    program.wait_for_count("completed", 1 + len(names))
    publisher.wait_until_empty(url, "toy_queue", "toy_queue.priority")

    ran = [run.name for run in processors.runs(program.media)]
    assert sorted(ran) == [*names, "urgent"]
    assert program.count("failed") == 0
