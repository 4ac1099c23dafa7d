"""Messages that are no jobs end as dead letters with the field named, and the queue flows on."""

import json

import pytest

from tests.journeys.conftest import Configured
from tests.support import publisher
from tests.support.receiver import Receiver
from tests.support.site import Site

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

POOLS = {
    "download": {"queue": "download_queue", "processor": "workers.download"},
    "cutter": {"queue": "cutter_queue", "processor": "workers.cutter"},
}
BROKEN = {  # what is wrong -> queue, body, the words that must name it
    "not JSON": ("download_queue", b"{nope", "body"),
    "empty": ("download_queue", b"", "body"),
    "an array": ("download_queue", b'["https://example.org"]', "body"),
    "no link": ("download_queue", b'{"from": "user123"}', "link"),
    "a number as link": ("download_queue", b'{"link": 7}', "link"),
    "a file as link": ("download_queue", b'{"link": "file:///etc/passwd"}', "link"),
    "a list as from": ("download_queue", b'{"link": "http://x", "from": []}', "from"),
    "5 MB": ("download_queue", b'{"link": "http://x/%s"}' % (b"x" * 5_000_000), "body"),
    "too deep": (
        "download_queue",
        b'{"link": "http://x", "then": [], "a": ' + b"[" * 980 + b"]" * 980 + b"}",
        "body: is nested too deeply",
    ),
    "no filePath": ("cutter_queue", b"{}", "filePath"),
    "a number as filePath": ("cutter_queue", b'{"filePath": 7}', "filePath"),
}


@pytest.mark.rabbitmq
def test_each_broken_message_is_a_dead_letter_that_names_the_field(
    vhost_url: str, configured: Configured, site: Site, receiver: Receiver
) -> None:
    program = configured(POOLS, vhost_url, webhook=receiver.url).start()

    for name, (queue, body, _) in BROKEN.items():
        publisher.publish(vhost_url, queue, body, message_id=name)
    link = {"link": site.link("clip")}
    for header, value in {"x-job-priority": "urgent", "x-delay": "soon"}.items():
        publisher.publish(
            vhost_url, "download_queue", link, message_id=header, headers={header: value}
        )
    publisher.publish(vhost_url, "download_queue", link, message_id="good")
    program.wait_for_state("completed", "good")
    program.wait_for_state("failed", *BROKEN, "x-job-priority", "x-delay")
    told = json.loads(receiver.requests.get(timeout=10).body)
    queues = ("download_queue", "download_queue_dlq", "cutter_queue", "cutter_queue_dlq")
    publisher.wait_until_empty(vhost_url, *queues)

    errors = {
        job_id: json.loads(error)["message"]
        for job_id, error in program.ledger("SELECT id, error FROM jobs WHERE state = 'failed'")
    }
    expected = {name: words for name, (_, _, words) in BROKEN.items()}
    expected |= {"x-job-priority": "x-job-priority", "x-delay": "x-delay"}
    unnamed = {n: errors[n] for n, words in expected.items() if not errors[n].startswith(words)}
    assert not unnamed
    assert told["job"]["id"] == "no link"  # the only one that says whom to tell
    assert receiver.received() == []
    kept = program.ledger("SELECT body FROM jobs WHERE id = '5 MB'")
    assert kept == [(BROKEN["5 MB"][1],)]
    assert all(worker.restarts == 0 for worker in program.status().workers)


def test_the_control_socket_takes_what_only_the_processor_can_refuse(
    configured: Configured,
) -> None:
    program = configured(POOLS).start()

    no_link, no_file = (
        program.submit("download", {"from": "user123"})[0],
        program.submit("cutter", {"filePath": 7})[0],
    )
    program.wait_for_state("failed", no_link, no_file)

    errors = [program.job(job_id).error for job_id in (no_link, no_file)]
    assert [error.message.split()[0].rstrip(":") for error in errors if error] == [
        "link",
        "filePath",
    ]


@pytest.mark.rabbitmq
def test_a_letter_too_large_to_record_is_kept_apart_and_said_to_be_though_no_worker_runs(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {"instances": 0}}, vhost_url)
    publisher.publish(vhost_url, "toy_queue_dlq", b"x" * 16_000_001)
    publisher.publish(vhost_url, "toy_queue_dlq", b"{}", message_id="small")

    program.start().wait_for_state("failed", "small")
    program.wait_until(lambda: program.status().queues[0].oversized, "the large one to be counted")

    said = " ".join(program.cli("status").stdout.split())
    assert "! pool toy: 1 dead letter over 16 MB, not recorded, kept in supervisor.over" in said
    assert program.ids("failed") == {"small"}
