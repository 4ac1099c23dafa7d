"""``publish`` without a supervisor: the job stands in RabbitMQ as if any program had sent it."""

import json
from pathlib import Path

import pika
import pytest
from click.testing import CliRunner, Result
from pika.adapters.blocking_connection import BlockingChannel

from consumers.oversized import REMEDY, finding
from consumers.topology import oversized
from supervisor.cli.main import cli
from tests.support import publisher

pytestmark = pytest.mark.rabbitmq

POOLS = "workers:\n  download: {queue: clips, processor: workers.download}\n"


def call(tmp_path: Path, url: str, *arguments: str) -> Result:
    config = tmp_path / "supervisor.yaml"
    config.write_text(f"broker: {url}\nstate: {tmp_path}/s\n{POOLS}")
    return CliRunner().invoke(cli, ["-c", str(config), *arguments])


def taken(url: str, queue: str) -> tuple[pika.BasicProperties, bytes]:
    """Return the one message of a queue."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel: BlockingChannel = connection.channel()
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        assert method is not None
        assert method.message_count == 0
        assert properties is not None
        assert body is not None
        return properties, body


def test_a_job_goes_straight_into_the_public_queue(tmp_path: Path, vhost_url: str) -> None:
    link = ("--link", "https://h/v", "--from", "user123", "--id", "mine")

    result = call(tmp_path, vhost_url, "publish", "download", *link)

    assert (result.exit_code, result.output) == (0, "job mine is waiting in clips\n")
    properties, body = taken(vhost_url, "clips")
    assert body == b'{"link":"https://h/v","from":"user123"}'
    assert (properties.message_id, properties.delivery_mode) == ("mine", 2)


def test_an_urgent_job_takes_the_priority_lane(tmp_path: Path, vhost_url: str) -> None:
    urgent = ("--link", "https://h/v", "--priority", "critical")

    assert call(tmp_path, vhost_url, "publish", "download", *urgent).exit_code == 0

    properties, _ = taken(vhost_url, "clips.priority")
    assert properties.priority == 5


def test_what_follows_a_job_goes_with_it(tmp_path: Path, vhost_url: str) -> None:
    then = ("--then", '{"pool": "download", "each": "data.items"}', "--then", "download")

    result = call(tmp_path, vhost_url, "publish", "download", "--link", "https://h/v", *then)

    assert result.exit_code == 0
    _, body = taken(vhost_url, "clips")
    step = {"pool": "download", "each": "data.items", "then": ["download"]}
    assert json.loads(body) == {"link": "https://h/v", "then": [step]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--then", "gone"), "then[0]: names gone, which is no pool here; there are: download"),
        (("--then", "a b"), "--then: then[0]: 'a b' is no name for a pool"),
        (("--data", '{"then": "gone"}'), "data.then: names gone, which is no pool here"),
        (("--data", '{"then": 5}'), "data.then: must be the name of a pool"),
        (("--data", '{"then": "download"}', "--then", "download"), "then: is said in data too"),
    ],
)
def test_what_cannot_follow_a_job_is_refused_before_it_is_published(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    link = () if "--data" in arguments else ("--link", "https://h/v")

    result = call(tmp_path, "amqp://127.0.0.1:1/", "publish", "download", *link, *arguments)

    assert result.exit_code == 2
    assert said in result.output


def test_a_wrong_password_is_said_without_showing_it(tmp_path: Path, vhost_url: str) -> None:
    host = vhost_url.rpartition("@")[2]

    result = call(
        tmp_path, f"amqp://guest:hush@{host}", "publish", "download", "--link", "https://h/v"
    )

    assert result.exit_code == 3
    assert "hush" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("wrong", ["guest:hush@HOST", "guest:guest@HOST-of-nobody"])
def test_the_doctor_says_what_to_check_when_the_broker_refuses(
    tmp_path: Path, vhost_url: str, wrong: str
) -> None:
    refused = wrong.replace("HOST", vhost_url.rpartition("@")[2])

    result = call(tmp_path, f"amqp://{refused}", "doctor")

    said = " ".join(result.output.split())
    assert "check user, password and vhost in broker:" in said
    assert "docker compose" not in said


def test_the_doctor_names_the_broker_and_its_version(tmp_path: Path, vhost_url: str) -> None:
    result = call(tmp_path, vhost_url, "doctor")

    assert "RabbitMQ 3.10" in result.output


def test_the_doctor_counts_the_letters_too_large_to_record(tmp_path: Path, vhost_url: str) -> None:
    publisher.publish(vhost_url, "clips", b"{}")
    assert "none was too large to be recorded" in call(tmp_path, vhost_url, "doctor").output

    publisher.publish(vhost_url, oversized("clips_dlq"), b"1", b"2")
    result = call(tmp_path, vhost_url, "doctor", "--json")

    (letters,) = [each for each in json.loads(result.output) if each["what"] == "dead letters"]
    assert (letters["level"], letters["remedy"]) == ("warn", REMEDY)
    assert letters["found"] == finding("clips_dlq", 2)
