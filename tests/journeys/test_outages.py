"""The broker goes away, or is not there yet: nothing is lost, nothing runs twice, no traceback."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.ports import free_port
from tests.support.program import Program, moment
from tests.support.rabbitmq import PrivateRabbit
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.journey, pytest.mark.rabbitmq, pytest.mark.timeout(120)]

OUTAGE = 4.0  # seconds
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

    rabbit.write_definitions()
    rabbit.stop() if how == "stopped" else rabbit.kill()
    program.wait_for_line("broker away, waiting for it")
    processors.open_gate(program.media, "open")
    program.wait_for_count("completed", 2)
    program.wait_until(
        lambda: _seconds_between(_tries(program)) >= OUTAGE,
        "tries to reach the broker for a while",
    )
    rabbit.start()
    program.wait_until_consuming()
    program.wait_for_count("completed", 22)
    publisher.wait_until_empty(url, *LANES)
    assert program.stop() == 0

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
    assert all(worker.crash_count == 0 for worker in program.status().workers)


def test_a_port_where_nothing_listens_is_said_once_and_a_stop_is_obeyed(
    configured: Configured,
) -> None:
    program = configured({"toy": {}}, f"amqp://guest:guest@127.0.0.1:{free_port()}/").start(
        wait=False
    )
    program.wait_until(lambda: len(_tries(program)) >= 3, "three tries")
    assert program.stop() == 0

    lines = program.log.splitlines()
    about_the_broker = [line for line in lines if "Connect" in line or "refused" in line]
    assert len(about_the_broker) == len(program.lines("broker away, waiting for it")) == 1, lines


def test_a_vhost_that_is_missing_is_an_outage_and_no_error_besides(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, f"{vhost_url}-missing").start(wait=False)
    program.wait_until(lambda: len(_tries(program)) >= 2, "two tries")
    assert program.stop() == 0

    assert "vhost" in program.lines("broker away, waiting for it")[0]["why"]
    assert program.lines("jobs cannot be parked") == []


def test_a_worker_that_never_reaches_the_broker_is_replaced_at_once_and_goes_on_trying(
    configured: Configured,
) -> None:
    url = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    hasty = {"delay": "100ms", "max": "200ms", "give_up": 3}
    slow = {"backoff": {"delay": "30s"}}
    program = configured({"toy": slow}, url, reconnect=hasty).start(wait=False)

    leaving = program.wait_for_line("worker error", worker="toy-1")
    restored = program.wait_for_line("worker restored", worker="toy-1")
    program.wait_until(lambda: program.worker("toy-1").restarts >= 2, "a second replacement")
    worker = program.worker("toy-1")

    assert leaving["cause"] == "error"
    assert leaving["why"] == "Unable to reconnect to RabbitMQ"
    assert moment(restored) - moment(leaving) < 3
    assert worker.last_restart is not None
    assert worker.last_restart.cause == "error"
    assert worker.crash_count == 0


def test_what_was_in_the_queue_before_an_outage_is_there_afterwards(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    """A retry waits in the delay ladder while the broker is killed.

    The job has an id: a broker that is killed may forget the ack of its first message.
    """
    url = rabbit.fresh_vhost()
    program = configured({"toy": {"retry": {"attempts": 3, "delay": "4s"}}}, url).start()
    program.may_raise = True
    body = {"do": "fail", "times": 1, "name": "tried again"}
    publisher.publish(url, "toy_queue", body, delivery_mode=2, message_id="again")
    program.wait_for_count("delayed", 1)
    publisher.wait_until_empty(url, "toy_queue")

    rabbit.write_definitions()
    rabbit.kill()
    program.wait_for_line("broker away, waiting for it")
    rabbit.start()
    program.wait_for_count("completed", 1, within=40)

    wait_until(lambda: publisher.depth(url, *LANES) == 0, within=10, what="the queues to be empty")
    assert [run.attempt for run in processors.runs(program.media)] == [1, 2]


def _tries(program: Program) -> list[dict[str, Any]]:
    """Return a line for each failed try to reach the broker."""
    return [*program.lines("broker away, waiting for it"), *program.lines("broker still away")]


def _seconds_between(lines: Sequence[Mapping[str, object]]) -> float:
    return moment(lines[-1]) - moment(lines[0]) if lines else 0.0
