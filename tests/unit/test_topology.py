"""The queues' shapes: a delay's path through the ladder takes exactly the delay, rounded up."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.errors import UnroutableError
from consumers.jobs import PRIORITY, Properties
from consumers.topology import (
    DELAY_EXIT,
    DELAY_LEVELS,
    DELAY_UNIT,
    LONGEST_DELAY,
    UNROUTABLE,
    Binding,
    Layout,
    PoolQueues,
    delay_exit,
    delay_level,
    delay_route,
    lane_binding,
    lane_level,
    pool_queues,
    priority_lane,
)

WORDS = st.from_regex(r"[a-zA-Z0-9_:-]{1,12}", fullmatch=True)
LANES = st.lists(WORDS, min_size=1, max_size=4).map(lambda words: ".".join(words) + ".priority")
DELAYS = st.floats(min_value=0, max_value=LONGEST_DELAY, exclude_min=True)


def takes(binding: Binding, key: str) -> bool:
    """Match as a topic exchange does: * is one word, # any number of them."""
    words = [{"*": r"\.[^.]*", "#": r"(\.[^.]*)*"}.get(w, re.escape(f".{w}")) for w in
             binding.key.split(".")]  # fmt: skip
    return re.fullmatch("".join(words), f".{key}") is not None


def whole_ladder() -> list[Layout]:
    return [delay_exit(), *map(delay_level, range(DELAY_LEVELS))]


def journey(exchange: str, key: str, lanes: list[str]) -> tuple[float, list[str]]:
    """Follow a message through the ladder: the seconds it waits, and where it comes out."""
    layouts = [*whole_ladder(), *(priority_lane(lane) for lane in lanes)]
    queues = {queue.name: queue.arguments for layout in layouts for queue in layout.queues}
    bindings = [binding for layout in layouts for binding in layout.bindings]
    waited = 0.0
    while exchange != DELAY_EXIT:
        (way,) = [each for each in bindings if each.source == exchange and takes(each, key)]
        exchange = way.exchange
        if way.queue:
            waited += int(queues[way.queue]["x-message-ttl"]) / 1000
            exchange = str(queues[way.queue]["x-dead-letter-exchange"])
    ends = [each.queue for each in bindings if each.source == DELAY_EXIT and takes(each, key)]
    return waited, ends


@given(lane=LANES, delay=DELAYS)
def test_the_path_of_a_delay_takes_the_delay_rounded_up(lane: str, delay: float) -> None:
    route = delay_route(lane, delay)

    waited, ends = journey(route.exchange, route.key, [lane])

    assert waited == math.ceil(delay / DELAY_UNIT) * DELAY_UNIT
    assert 0 <= waited - delay <= DELAY_UNIT
    assert ends == [lane]


@given(lane=LANES, other=LANES)
def test_a_lane_gets_only_what_is_meant_for_it(lane: str, other: str) -> None:
    lanes = sorted({lane, other, f"a.{lane}", f"0.1.{lane}"})
    route = delay_route(lane, 1)

    assert journey(route.exchange, route.key, lanes)[1] == [lane]


@given(delay=DELAYS)
def test_a_delay_enters_at_its_highest_level(delay: float) -> None:
    route = delay_route("q.priority", delay)

    assert 2**route.level <= math.ceil(delay / DELAY_UNIT) < 2 ** (route.level + 1)
    assert route.exchange == f"supervisor.delay.{route.level:02}"


@pytest.mark.parametrize("delay", [0, -1, LONGEST_DELAY + 0.01, math.inf, math.nan])
def test_a_delay_out_of_range_is_refused(delay: float) -> None:
    with pytest.raises(UnroutableError, match=r"q\.priority"):
        delay_route("q.priority", delay)


def test_the_longest_delay_is_more_than_48_days() -> None:
    assert LONGEST_DELAY > 48 * 86_400
    assert delay_route("q.priority", LONGEST_DELAY).level == DELAY_LEVELS - 1


@pytest.mark.parametrize("queue", ["download_queue", "q_dlq", "priority", ""])
def test_a_delay_ends_in_private_lanes_only(queue: str) -> None:
    with pytest.raises(UnroutableError, match="private"):
        delay_route(queue, 1)


@pytest.mark.parametrize("queue", ["a.*.priority", "#.priority", f"{'x' * 200}.priority"])
def test_a_lane_that_a_routing_key_cannot_name_takes_no_delays(queue: str) -> None:
    with pytest.raises(UnroutableError, match="cannot be delayed into"):
        delay_route(queue, 1)


@given(lane=LANES, delay=DELAYS)
def test_keys_fit_in_amqp(lane: str, delay: float) -> None:
    assert len(delay_route(lane, delay).key) <= 255
    assert len(lane_binding(lane).key) <= 255


def test_every_rung_is_quorum_and_at_least_once() -> None:
    rungs = [queue for layout in map(delay_level, range(DELAY_LEVELS)) for queue in layout.queues]

    for rung in rungs:
        assert rung.arguments["x-queue-type"] == "quorum"
        assert rung.arguments["x-dead-letter-strategy"] == "at-least-once"
        assert rung.arguments["x-overflow"] == "reject-publish"


def test_what_no_lane_wants_goes_to_the_unroutable_queue() -> None:
    layout = delay_exit()

    exits = {exchange.name: exchange.arguments for exchange in layout.exchanges}
    assert exits[DELAY_EXIT] == {"alternate-exchange": UNROUTABLE}
    assert layout.bindings == (Binding(UNROUTABLE, "", queue=UNROUTABLE),)


def test_the_lane_is_classic_with_five_levels() -> None:
    (lane,) = priority_lane("q.priority").queues

    assert lane.arguments == {"x-queue-type": "classic", "x-max-priority": 5}


def test_a_pool_has_three_queues() -> None:
    assert pool_queues("q") == PoolQueues("q", "q.priority", "q_dlq")
    assert pool_queues("q", dead="shared").dead == "shared"


@pytest.mark.parametrize(
    ("properties", "level"),
    [
        (Properties(), 3),
        (Properties(priority=0), 3),
        (Properties(priority=1), 1),
        (Properties(priority=5), 5),
        (Properties(priority=200), 5),
        (Properties(headers={PRIORITY: "critical"}), 5),
        (Properties(headers={PRIORITY: 1}), 5),
        (Properties(headers={PRIORITY: "background"}, priority=9), 1),
        (Properties(headers={PRIORITY: "whenever"}, priority=9), 3),
    ],
)
def test_the_level_of_a_job_in_its_lane(properties: Properties, level: int) -> None:
    assert lane_level(properties) == level
