"""The broker goes away, or is not there yet: nothing is lost, nothing runs twice, no traceback."""

import pytest

from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.ports import free_port
from tests.support.rabbitmq import PrivateRabbit
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.journey, pytest.mark.rabbitmq, pytest.mark.timeout(120)]

OUTAGE = 8.0  # seconds
LANES = ("toy_queue", "toy_queue.priority", "toy_queue_dlq")


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_jobs_that_run_through_an_outage_of_the_broker_are_done_once(
    how: str, rabbit: PrivateRabbit, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    program = configured({"toy": {"instances": 2}}, url).start()
    persistent = {"delivery_mode": 2}
    known = {"do": "wait", "gate": "open", "name": "with an id"}
    unknown = known | {"name": "without an id"}
    publisher.publish(url, "toy_queue", known, message_id="known-1", **persistent)
    publisher.publish(url, "toy_queue", unknown, **persistent)
    program.wait_until(lambda: len(processors.runs(program.media)) == 2, "both jobs to run")
    waiting = [{"name": f"waiting {number}"} for number in range(20)]
    publisher.publish(url, "toy_queue", *waiting, **persistent)

    rabbit.stop() if how == "stopped" else rabbit.kill()
    program.wait_for_line("broker away, waiting for it")
    processors.open_gate(program.media, "open")
    program.wait_for_count("completed", 2)
    tries = program.wait_until(
        lambda: len(program.lines("broker away, waiting for it")) >= OUTAGE / 2,
        "several tries to reach the broker",
    )
    rabbit.start()
    program.wait_until_consuming()
    program.wait_for_count("completed", 22)
    publisher.wait_until_empty(url, *LANES)
    assert program.stop() == 0

    assert tries is None
    names = sorted(run.name for run in processors.runs(program.media))
    assert names == sorted(
        ["with an id", "without an id", *(f"waiting {number}" for number in range(20))]
    )
    assert publisher.depth(url, *LANES) == 0
    assert program.lines("worker crashed") == []


def test_a_supervisor_that_is_there_before_its_broker_says_so_and_waits(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    rabbit.stop()
    program = configured({"toy": {"instances": 2}}, url).start(wait=False)

    line = program.wait_for_line("broker away, waiting for it")
    program.wait_for_line("worker ready", worker="toy-2")
    status = program.status()
    rabbit.start()
    publisher.publish(url, "toy_queue", {"name": "patience"})
    program.wait_until_consuming()
    program.wait_for_count("completed", 1)

    assert f"127.0.0.1:{rabbit.port}" in line["broker"] + line["why"]
    assert "guest:guest" not in program.log
    assert "docker compose" in line["hint"]
    assert not status.broker.connected
    assert all(worker.restarts == 0 for worker in program.status().workers)


def test_a_port_where_nothing_listens_is_one_line_a_try_and_a_stop_is_obeyed(
    configured: Configured,
) -> None:
    program = configured({"toy": {}}, f"amqp://guest:guest@127.0.0.1:{free_port()}/").start(
        wait=False
    )
    program.wait_until(
        lambda: len(program.lines("broker away, waiting for it")) >= 3, "three tries"
    )
    assert program.stop() == 0

    lines = program.log.splitlines()
    about_the_broker = [line for line in lines if "Connect" in line or "refused" in line]
    assert len(about_the_broker) == len(program.lines("broker away, waiting for it")), lines


def test_what_was_in_the_queue_before_an_outage_is_there_afterwards(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    """A retry waits in the delay ladder while the broker is killed."""
    url = rabbit.fresh_vhost()
    program = configured({"toy": {"retry": {"attempts": 3, "delay": "6s"}}}, url).start()
    program.may_raise = True
    body = {"do": "fail", "times": 1, "name": "tried again"}
    publisher.publish(url, "toy_queue", body, delivery_mode=2)
    program.wait_for_count("delayed", 1)
    publisher.wait_until_empty(url, "toy_queue")

    rabbit.kill()
    program.wait_for_line("broker away, waiting for it")
    rabbit.start()
    program.wait_for_count("completed", 1, within=40)

    wait_until(
        lambda: publisher.depth(url, *LANES) == 0, within=10, what="the queues to be empty"
    )
    assert [run.attempt for run in processors.runs(program.media)] == [1, 2]
