"""The private RabbitMQ nodes are trustworthy ground: they keep data and leave nothing behind."""

import asyncio
import os

import pika
import psutil
import pytest

from tests.support.rabbitmq import PrivateRabbit, RabbitError

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(60)]


def _publish(url: str, body: bytes) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("kept", durable=True)
        lasting = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", "kept", body, lasting, mandatory=True)


def _take(url: str) -> bytes | None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        _, _, body = connection.channel().basic_get("kept", auto_ack=True)
        return body


def test_a_published_message_can_be_taken(any_vhost_url: str) -> None:
    _publish(any_vhost_url, b"hello")

    assert _take(any_vhost_url) == b"hello"


def test_each_test_has_a_vhost_of_its_own(any_rabbit: PrivateRabbit) -> None:
    assert any_rabbit.fresh_vhost() != any_rabbit.fresh_vhost()


def test_the_version_is_the_one_asked_for(any_rabbit: PrivateRabbit) -> None:
    assert any_rabbit.ctl("version").startswith(any_rabbit.version)


def test_a_command_that_fails_tells_the_brokers_words(any_rabbit: PrivateRabbit) -> None:
    with pytest.raises(RabbitError, match="nosuch"):
        any_rabbit.ctl("nosuch")


@pytest.mark.invariant(1)
def test_a_confirmed_message_survives_a_kill(any_rabbit: PrivateRabbit, any_vhost_url: str) -> None:
    _publish(any_vhost_url, b"still here")
    any_rabbit.write_definitions()

    any_rabbit.kill()
    any_rabbit.start()

    assert _take(any_vhost_url) == b"still here"


def test_nothing_of_a_killed_node_lives_on(any_rabbit: PrivateRabbit) -> None:
    any_rabbit.start()
    node = psutil.Process(any_rabbit.pid)
    family = [node, *node.children(recursive=True)]

    any_rabbit.kill()

    zombie = psutil.STATUS_ZOMBIE
    assert [one for one in family if one.is_running() and one.status() != zombie] == []


def test_a_node_started_from_a_passing_thread_lives_on(any_rabbit: PrivateRabbit) -> None:
    any_rabbit.kill()

    # asyncio.run ends the thread that asked for the start.
    asyncio.run(asyncio.to_thread(any_rabbit.start))

    assert any_rabbit.is_running
    assert any_rabbit.ctl("eval", "1+1.").strip() == "2"


def test_a_node_is_a_stranger_to_the_test_runs_process_group(any_rabbit: PrivateRabbit) -> None:
    any_rabbit.start()

    assert os.getsid(any_rabbit.pid) != os.getsid(0)
