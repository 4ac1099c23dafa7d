"""Equal messages without ids, a real broker and real kills: two publishes are two outcomes."""

import pytest

from tests.journeys.conftest import Configured
from tests.support import processors
from tests.support.publisher import depth, publish, send
from tests.support.rabbitmq import PrivateRabbit
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.invariant(1), pytest.mark.rabbitmq, pytest.mark.timeout(150)]

WARMING = [
    {"do": "nothing", "name": f"warming {n}"} for n in range(20)
]  # so that more is prefetched
PAIRS = 2


def test_twins_that_kill_their_worker_are_both_dead_letters(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {"instances": 1}}, vhost_url).start()
    send(vhost_url, "toy_queue", *WARMING)
    program.wait_for_count("completed", len(WARMING))

    for pair in range(PAIRS):
        send(vhost_url, "toy_queue", *[{"do": "die", "name": f"pair {pair}"}] * 2)
    states = ("failed", "active", "waiting", "delayed")
    wait_until(
        lambda: (
            program.count("failed") == 2 * PAIRS
            or not (
                any(program.count(state) for state in states[1:])
                or depth(vhost_url, "toy_queue", "toy_queue.priority")
            )
        ),
        within=90,
        what="the killers to be dead",
    )

    assert program.count("failed") == 2 * PAIRS, program.lines("claim dropped")


def test_a_twin_that_a_stopped_worker_gave_back_runs_after_the_start(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {"instances": 1}}, vhost_url).start()
    send(vhost_url, "toy_queue", *WARMING)
    program.wait_for_count("completed", len(WARMING))
    twin = {"do": "nothing", "name": "twin"}
    send(vhost_url, "toy_queue", twin, {"do": "sleep", "seconds": 0.8, "name": "slow"}, twin)
    wait_until(lambda: processors.runs(program.media, name="slow"), within=10, what="slow to run")
    assert program.stop() == 0

    program.start()
    wait_until(
        lambda: (
            len(processors.runs(program.media, name="twin")) == 2 or program.lines("claim dropped")
        ),
        within=20,
        what="the twin to be run or dropped",
    )

    assert len(processors.runs(program.media, name="twin")) == 2, program.lines("claim dropped")


def test_a_twin_that_waits_in_a_broker_which_is_restarted_runs(
    any_rabbit: PrivateRabbit, any_vhost_url: str, configured: Configured
) -> None:
    """A killed one says of all it has that it comes again: also of what nobody ever had."""
    program = configured({"toy": {"instances": 1}}, any_vhost_url).start()
    send(any_vhost_url, "toy_queue", *WARMING)
    program.wait_for_count("completed", len(WARMING))
    any_rabbit.write_definitions()  # a queue this new is forgotten by a broker which is killed
    twin = {"do": "nothing", "name": "twin"}
    between = [{"do": "sleep", "seconds": 0.15, "name": f"between {n}"} for n in range(20)]
    publish(any_vhost_url, "toy_queue", twin, *between, twin, delivery_mode=2)
    wait_until(lambda: processors.runs(program.media, name="twin"), within=10, what="one to run")

    any_rabbit.kill()
    any_rabbit.start()

    wait_until(
        lambda: len(processors.runs(program.media, name="twin")) >= 2,
        within=60,
        what=f"the other to run; dropped was {program.lines('claim dropped')}",
    )
