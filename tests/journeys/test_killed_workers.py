"""Workers that are killed in the middle of a job: it is done all the same, and told once."""

import json
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

import psutil
import pytest

from supervisor.ports import WorkerView
from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.clips import Clip, place
from tests.support.program import Program, moment
from tests.support.receiver import Receiver
from tests.support.site import Site
from workers.descendants import descendants, is_running

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

USER = "user123"
DELAY = 1.5  # seconds a crashed worker waits in these journeys; 5 in the default configuration
POOL = {
    "queue": "download_queue",
    "processor": "workers.download",
    "backoff": {"delay": f"{DELAY}s"},
}


@pytest.mark.rabbitmq
def test_a_download_survives_the_kill_of_its_worker_and_is_told_once(
    any_vhost_url: str, configured: Configured, site: Site, receiver: Receiver
) -> None:
    program = configured({"download": POOL}, any_vhost_url, webhook=receiver.url).start()
    publisher.publish(any_vhost_url, "download_queue", {"link": site.link("held"), "from": USER})

    _kill_in_mid_download(program, site)
    program.wait_for_count("completed", 1)
    told = json.loads(receiver.requests.get(timeout=15).body)
    after = _status_of(program, "download-1")
    publisher.wait_until_empty(any_vhost_url, "download_queue", "download_queue.priority")
    waited = _wait_for_replacement(program)
    assert program.stop() == 0

    assert told["event"] == "job.completed"
    assert receiver.received() == []
    assert after["restarts"] == 1
    assert after["crashCount"] == 1
    assert after["lastRestart"]["cause"] == "crash"
    assert "SIGKILL" in after["lastRestart"]["exit"]
    assert after["lastRestart"]["jobs"] == [told["job"]["id"]]
    assert DELAY <= waited < DELAY + 3
    assert publisher.depth(any_vhost_url, "download_queue", "download_queue_dlq") == 0


def test_the_same_holds_for_embedded_queues(
    configured: Configured, site: Site, receiver: Receiver
) -> None:
    program = configured({"download": POOL}, webhook=receiver.url).start()
    (job_id,) = program.submit("download", {"link": site.link("held"), "from": USER})

    _kill_in_mid_download(program, site)
    program.wait_for_state("completed", job_id)
    told = json.loads(receiver.requests.get(timeout=15).body)

    job = program.job(job_id)
    assert (told["event"], told["job"]["id"]) == ("job.completed", job_id)
    assert receiver.received() == []
    assert (job.attempts, job.crashes) == (0, 1)
    assert any("SIGKILL" in run.exit for run in job.history)


@pytest.mark.rabbitmq
def test_without_a_delay_the_replacement_consumes_at_once(
    vhost_url: str, configured: Configured, record_property: Callable[[str, object], None]
) -> None:
    pools = {"toy": {"backoff": {"delay": "0s"}}}
    program = configured(pools, vhost_url).start()
    publisher.publish(vhost_url, "toy_queue", {"do": "wait", "name": "held", "gate": "held"})
    program.wait_until(lambda: processors.runs(program.media), "the job to run")
    before = program.worker("toy-1")
    assert before.pid is not None

    os.kill(before.pid, signal.SIGKILL)
    waited = _wait_for_replacement(program, "toy-1")
    program.wait_until_consuming()
    processors.open_gate(program.media, "held")
    program.wait_for_count("completed", 1)

    record_property("seconds from crash to ready", waited)
    print(f"replacement ready {waited * 1000:.0f} ms after the crash was seen")  # noqa: T201
    assert waited < 1.0  # 0.1 on a machine that has nothing else to do
    assert program.worker("toy-1").pid != before.pid
    assert len(processors.runs(program.media, name="held")) == 2


def test_idle_workers_and_the_fork_server_may_be_killed_too(configured: Configured) -> None:
    program = configured({"toy": {"instances": 2}}).start()
    first = program.worker("toy-1")
    assert first.pid is not None
    coordinator = psutil.Process(program.status().pid)
    server = next(c for c in coordinator.children() if "forkserver" in " ".join(c.cmdline()))

    server.kill()
    os.kill(first.pid, signal.SIGKILL)
    program.wait_for_line("worker restored", worker="toy-1")
    program.wait_until_consuming()
    job_ids = program.submit("toy", *({"name": f"{n}"} for n in range(10)))
    program.wait_for_state("completed", *job_ids)

    assert program.worker("toy-1").restarts == 1
    assert program.worker("toy-2").restarts == 0


def test_workers_killed_at_work_leave_no_tool_behind_and_every_result_is_whole(
    configured: Configured, site: Site
) -> None:
    pools = {name: {"processor": f"workers.{name}"} for name in ("download", "cutter", "preview")}
    program = configured(pools).start()
    film = place(Clip.ONE_GOP, program.media).name
    bodies: Mapping[str, Mapping[str, object]] = {
        "download": {"link": site.link("clip")},
        "cutter": {"filePath": film, "segmentTime": 5},
        "preview": {"filePath": film, "sprite": True},
    }

    jobs: list[str] = []
    for pool, body in bodies.items():
        jobs += program.submit(pool, body)
        tools = _kill_with_tools(program, f"{pool}-1")
        program.wait_for_line("worker crashed", worker=f"{pool}-1")
        assert [tool for tool in tools if is_running(tool)] == []
    program.wait_for_state("completed", *jobs)

    results = sorted((program.media / "results").iterdir())
    manifests = [json.loads((folder / "manifest.json").read_bytes()) for folder in results]
    assert {manifest["queue"] for manifest in manifests} == {f"{pool}_queue" for pool in pools}
    for folder, manifest in zip(results, manifests, strict=True):
        sizes = {file["path"]: file["size"] for file in manifest["result"]["files"]}
        there = {path.name: path.stat().st_size for path in folder.iterdir()}
        assert there == sizes | {"manifest.json": there["manifest.json"]}


def _kill_with_tools(program: Program, worker: str) -> list[int]:
    """Kill a worker as soon as it has started something, and return what that was."""
    pid = program.worker(worker).pid
    assert pid is not None
    program.wait_until(lambda: descendants(pid), f"{worker} to start a tool")
    tools = descendants(pid)
    os.kill(pid, signal.SIGKILL)
    return tools


def _kill_in_mid_download(program: Program, site: Site) -> WorkerView:
    # Twice: yt-dlp looks at what a link is before it downloads it.
    assert site.halfway.acquire(timeout=20)
    program.wait_until(lambda: program.worker("download-1").job, "the job to be in hand")
    worker = program.worker("download-1")
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    site.release.set()
    return worker


def _wait_for_replacement(program: Program, worker: str = "download-1") -> float:
    """Return the seconds between the log's crash and its replacement being ready."""
    crashed = program.wait_for_line("worker crashed", worker=worker)
    restored = program.wait_for_line("worker restored", worker=worker)
    return moment(restored) - moment(crashed)


def _status_of(program: Program, worker: str) -> dict[str, Any]:
    """Return one worker as `status --json` prints it."""
    said = json.loads(program.cli("status", "--json").stdout)
    found = next(one for one in said["workers"] if one["id"] == worker)
    assert isinstance(found, dict)
    return found
