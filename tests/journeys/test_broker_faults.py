"""Faults of the connection as an operator meets them: one line with what to do, and no loss."""

import time

import msgspec
import pytest

from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.fault_proxy import FaultProxy
from tests.support.rabbitmq import PrivateRabbit
from tests.support.readiness import why_unready

pytestmark = [pytest.mark.journey, pytest.mark.rabbitmq, pytest.mark.timeout(90)]

TROUBLE = "workers have trouble with the broker"
WELL = "workers are well with the broker again"
AWAY = "broker away, waiting for it"
SHORT = 3.0  # seconds for an answer while the broker gives none, on a busy machine


def test_workers_whose_queue_was_made_in_another_way_say_so_in_one_line_and_recover(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    program = configured({"toy": {"instances": 2}}, url).start()

    with publisher.channel_to(url) as channel:
        channel.queue_delete("toy_queue.priority")
        channel.queue_declare("toy_queue.priority", durable=True)
    program.wait_until(
        lambda: [line for line in program.lines(TROUBLE) if "inequivalent" in line["why"]],
        "the mismatch to be said",
    )
    program.wait_until(lambda: why_unready(program), "it to be unready")
    workers, unready = program.status().workers, why_unready(program)
    with publisher.channel_to(url) as channel:
        channel.queue_delete("toy_queue.priority")
    program.wait_until_consuming()
    assert why_unready(program) == ()
    publisher.publish(url, "toy_queue", {"name": "afterwards"}, delivery_mode=2)
    program.wait_for_count("completed", 1)
    program.wait_for_line(WELL)

    (mismatch,) = [line for line in program.lines(TROUBLE) if "inequivalent" in line["why"]]
    assert mismatch["workers"] == ["toy-1", "toy-2"]
    assert "delete it when it is empty" in mismatch["why"]
    (reason,) = unready
    assert reason.startswith("pool toy: no worker: none consumes")
    assert [worker.consuming for worker in workers] == [False, False]
    assert all("inequivalent" in worker.broker for worker in workers)
    assert program.lines(AWAY) == []


def test_an_alarm_of_the_broker_is_said_once_and_jobs_in_hand_are_finished_and_acked(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    program = configured({"toy": {"concurrency": 2}}, url).start()
    program.may_raise = True
    well = {"do": "wait", "gate": "open", "name": "well"}
    badly = {"do": "wait and fail", "gate": "open", "times": 1, "name": "badly"}
    publisher.publish(url, "toy_queue", well, badly, delivery_mode=2)
    program.wait_until(lambda: len(processors.runs(program.media)) == 2, "both jobs to run")

    rabbit.ctl("set_vm_memory_high_watermark", "0.000001")
    try:
        processors.open_gate(program.media, "open")
        program.wait_for_count("completed", 1)
        alarm = program.wait_for_line(TROUBLE)
        during = program.worker("toy-1")
        attempts = len(processors.runs(program.media))
    finally:
        rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1GB")
    program.wait_for_line(WELL)
    program.wait_for_count("completed", 2)
    publisher.wait_until_empty(url, "toy_queue", "toy_queue.priority")

    assert "the broker has an alarm (low on memory) and takes no publish" in alarm["why"]
    assert "free memory or disk" in alarm["why"]
    assert during.consuming
    assert attempts == 2
    assert len(processors.runs(program.media)) == 3
    assert len(program.lines(TROUBLE)) == 1
    assert program.lines(AWAY) == []


def test_an_alarm_of_the_broker_does_not_keep_the_program_from_stopping(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    program = configured({"toy": {}}, url, park_after="1s", stop_grace="1s").start()
    held = {"do": "wait", "gate": "open", "name": "held"}
    publisher.publish(url, "toy_queue", held, message_id="held", delivery_mode=2)
    program.wait_for_line("long job parked")

    rabbit.ctl("set_vm_memory_high_watermark", "0.000001")
    try:
        stopped = program.stop()  # its parked copy cannot be sent back to the pool
    finally:
        rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1GB")
    processors.open_gate(program.media, "open")
    program.start()
    program.wait_for_count("completed", 1)

    assert stopped == 0


def test_a_line_that_fell_silent_is_called_out_once_and_its_jobs_are_done_once(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    with FaultProxy(rabbit.port) as proxy:
        through = url.replace(f":{rabbit.port}/", f":{proxy.port}/")
        program = configured({"toy": {"instances": 2}}, f"{through}?heartbeat=1").start()
        held = {"do": "wait", "gate": "open", "name": "held"}
        publisher.publish(url, "toy_queue", held, delivery_mode=2)
        program.wait_until(lambda: len(processors.runs(program.media)) == 1, "the job to run")

        proxy.black_hole()
        publisher.publish(url, "toy_queue", {"name": "later"}, delivery_mode=2)
        began, status = time.monotonic(), program.status()
        took = time.monotonic() - began
        away = program.wait_for_line(AWAY)
        program.wait_until(
            lambda: not any(worker.consuming for worker in program.status().workers),
            "both workers to notice",
        )
        processors.open_gate(program.media, "open")
        proxy.heal()
        program.wait_until_consuming()
        program.wait_for_count("completed", 2)
        publisher.wait_until_empty(url, "toy_queue", "toy_queue.priority")
        assert program.stop() == 0

    assert (status.queues[0].ready, took < SHORT) == (None, True)
    assert "no sign of life for 6 s" in away["why"]
    assert "nothing: we come back" in away["hint"]
    assert len(program.lines(AWAY)) == 1
    assert sorted(run.name for run in processors.runs(program.media)) == ["held", "later"]


@pytest.mark.invariant(1)
def test_jobs_that_fail_after_their_queues_were_deleted_keep_their_copies(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    """The originals are gone with the queues: what the workers hold is all there is of them."""
    url = rabbit.fresh_vhost()
    retries = {"again": {"attempts": 2, "delay": "100ms"}, "once": {"attempts": 1}}
    program = configured({name: {"retry": retry} for name, retry in retries.items()}, url).start()
    program.may_raise = True
    for name in retries:
        body = {"do": "wait and fail", "gate": "open", "times": 1, "name": name}
        publisher.publish(url, f"{name}_queue", body, delivery_mode=2)
    program.wait_until(lambda: len(processors.runs(program.media)) == 2, "both jobs to run")

    queues = [f"{name}_queue{kind}" for name in retries for kind in ("", ".priority", "_dlq")]
    for queue in queues:
        publisher.delete(url, queue)
    program.wait_for_line(TROUBLE)
    processors.open_gate(program.media, "open")
    program.wait_for_count("completed", 1)
    program.wait_for_count("failed", 1)
    publisher.wait_until_empty(url, *queues)

    assert sorted(run.name for run in processors.runs(program.media)) == ["again", "again", "once"]
    ((name, body),) = program.ledger("SELECT queue, body FROM jobs WHERE state = 'failed'")
    assert (name, msgspec.json.decode(body)["name"]) == ("once_queue", "once")
