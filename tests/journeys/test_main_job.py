"""The main job: any program publishes a link, a video is downloaded, its user is told once."""

import json
from pathlib import Path

import pytest

from tests.journeys.conftest import Configured
from tests.support import publisher
from tests.support.receiver import Receiver
from tests.support.site import Site

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

DOWNLOAD = {"download": {"queue": "download_queue", "processor": "workers.download"}}
QUEUES = ("download_queue", "download_queue_dlq", "download_queue.priority")
USER = "user123"


@pytest.mark.rabbitmq
def test_a_link_published_by_any_program_becomes_a_file_and_one_notice(
    any_vhost_url: str, configured: Configured, site: Site, receiver: Receiver
) -> None:
    """Once with the producer's queue there first, once with ours: both declare it plainly."""
    link, url = site.link("clip"), any_vhost_url
    publisher.publish(url, "download_queue", {"link": link, "from": USER})

    program = configured(DOWNLOAD, url, webhook=receiver.url).start()
    program.wait_for_count("completed", 1)
    told = json.loads(receiver.requests.get(timeout=15).body)
    quiet = {"link": f"{link}?quietly", "from": USER, "noreply": True}
    publisher.publish(url, "download_queue", quiet, {"link": f"{link}?again", "from": USER})
    program.wait_for_count("completed", 3)
    told_again = json.loads(receiver.requests.get(timeout=15).body)
    publisher.wait_until_empty(url, *QUEUES)
    assert program.stop() == 0

    assert (told["event"], told["from"]) == ("job.completed", USER)
    assert told["queueName"] == "download_queue"
    assert told["job"]["data"] == {"link": link, "from": USER}
    assert told["results"]
    assert all(Path(file).stat().st_size > 0 for file in told["results"])
    assert told_again["job"]["data"]["link"] == f"{link}?again"
    assert receiver.received() == []
    assert len(program.lines("user told", user=USER, outcome="job.completed")) == 2
    # After the stop, what was delivered but not acked would be ready again.
    assert publisher.depth(url, *QUEUES) == 0


@pytest.mark.rabbitmq
def test_whoever_asks_for_an_answer_gets_the_result_or_the_error(
    vhost_url: str, configured: Configured, site: Site
) -> None:
    with publisher.channel_to(vhost_url) as channel:
        channel.queue_declare("answers", durable=True)
    for number, name in enumerate(("clip", "gone")):
        publisher.publish(
            vhost_url,
            "download_queue",
            {"link": site.link(name)},
            reply_to="answers",
            correlation_id=f"question {number}",
        )

    configured(DOWNLOAD, vhost_url).start()
    answers = [publisher.take(vhost_url, "answers") for _ in range(2)]

    result, error = (json.loads(body) for body, _ in answers)
    asked = [properties.correlation_id for _, properties in answers]
    assert asked == ["question 0", "question 1"]
    assert result["success"] is True
    assert Path(result["data"]["files"][0]["path"]).is_file()
    assert error["success"] is False
    assert "404" in error["error"]


def test_embedded_queues_do_the_same_and_a_shaky_site_is_asked_again(
    configured: Configured, site: Site, receiver: Receiver
) -> None:
    program = configured(DOWNLOAD, webhook=receiver.url)
    program.has_ledger = False  # a house that never was before
    program.start()

    good, shaky, gone = program.submit(
        "download",
        {"link": site.link("clip"), "from": USER},
        {"link": site.link("shaky"), "from": USER},
        {"link": site.link("gone"), "from": USER},
    )
    told = [json.loads(receiver.requests.get(timeout=30).body) for _ in range(3)]

    events = {notice["job"]["id"]: notice["event"] for notice in told}
    assert events == {good: "job.completed", shaky: "job.completed", gone: "job.failed"}
    failure = next(notice["error"] for notice in told if notice["job"]["id"] == gone)
    assert "404" in failure["message"]
    assert program.job(gone).state.value == "failed"
    assert program.status().queues[0].dead == 1
