"""The Python client against the real program; its page's examples run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

import aio_pika
import pytest

from supervisor_client import (
    AsyncClient,
    BadOrderError,
    Client,
    ConflictError,
    JobFailedError,
    NotAllowedError,
    NotOverAmqpError,
    StillRunningError,
    UnknownError,
    UnreachableError,
)
from tests.journeys.conftest import Configured
from tests.support.ports import free_port
from tests.support.program import Pools, Program
from tests.support.rabbitmq import PrivateRabbit

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]

DOCS = Path(__file__).parents[2] / "docs"
PAGE, HABITS = DOCS / "client.md", DOCS / "troubleshooting.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADMIN, SHOP = "hush-token-of-an-admin", "hush-token-of-a-shop"
NOBODY = "http://127.0.0.1:1"
POOLS: Pools = {"download": {}}


@pytest.fixture
def port(tmp_path: Path) -> int:
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(
        f"ops: {{token: {ADMIN}, roles: [admin]}}\nshop: {{token: {SHOP}, roles: [submit]}}\n"
    )
    tokens.chmod(0o600)
    return free_port()


@pytest.fixture
def program(configured: Configured, port: int, tmp_path: Path) -> Program:
    http = {"listen": f"127.0.0.1:{port}", "tokens": str(tmp_path / "tokens.yaml")}
    return configured(POOLS, http=http).start()


async def test_the_client_does_over_http_and_the_socket_what_its_page_says(
    program: Program, port: int, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{port}"
    (tmp_path / "admin.token").write_text(f"{ADMIN}\n")

    assert not _run(_watch(program), tmp_path)
    said = _run(_examples(port, over_amqp=False), tmp_path)

    assert "delayed\ncompleted" in said
    assert "is over already" in said
    assert "it was cancelled cancelled" in said
    with Client(program.socket) as client:
        _steer(client)
    _refuse(url)
    async with AsyncClient(program.socket) as client:
        await _wait(client)


@pytest.mark.rabbitmq
def test_over_amqp_jobs_are_published_and_everything_else_is_asked_elsewhere(
    configured: Configured, any_vhost_url: str, tmp_path: Path
) -> None:
    program = configured(POOLS, broker=any_vhost_url).start()
    example = _examples(0, over_amqp=True)
    example = example.replace("amqp://guest:guest@localhost/", any_vhost_url)
    example = example.replace("var/supervisor.sock", str(program.socket))

    said = _run(f"from supervisor_client import Client\n{example}", tmp_path)

    assert "'attempt': 1" in said
    with Client(any_vhost_url, api=program.socket) as client:
        job = client.publish(
            "download_queue", {"name": "a"}, id="mine", max_attempts=7, priority=2, delay=0.3
        )
        assert job.wait(within=20).max_attempts == 7
        again = client.publish("download_queue", {"name": "a"}, id="mine")
        assert again.result() == job.result()
        assert client.job("mine").show().priority == 2
        with pytest.raises(UnknownError, match="no such queue"):
            client.publish("download", {})
    with Client(any_vhost_url) as client:
        with pytest.raises(NotOverAmqpError, match="api="):
            client.publish("download_queue", {}).status()
        with pytest.raises(NotOverAmqpError, match="unique"):
            client.publish("download_queue", {}, unique="a key")


@pytest.mark.rabbitmq
def test_a_broker_that_is_away_or_does_not_let_us_in_is_told_apart(rabbit: PrivateRabbit) -> None:
    refusing = (rabbit.url.replace("guest:guest", "guest:wrong"), f"{rabbit.url}no-such-vhost")

    with (
        Client("amqp://guest:guest@127.0.0.1:1/", tries=2) as client,
        pytest.raises(UnreachableError, match="cannot be reached"),
    ):
        client.publish("toys", {})
    for url in refusing:
        with Client(url) as client, pytest.raises(NotAllowedError, match="let us in"):
            client.publish("toys", {})


@pytest.mark.rabbitmq
async def test_a_job_is_handed_in_although_the_connection_was_lost_meanwhile(
    rabbit: PrivateRabbit,
) -> None:
    async with AsyncClient(rabbit.url) as client, await aio_pika.connect(rabbit.url) as other:
        channel = await other.channel()
        queue = await channel.declare_queue("jobs-of-the-client", durable=True)
        await client.publish(queue.name, {"n": 1})
        rabbit.ctl("close_all_connections", "--vhost", "/", "for a test")
        await client.publish(queue.name, {"n": 2})
    async with await aio_pika.connect(rabbit.url) as again:
        queue = await (await again.channel()).declare_queue(queue.name, durable=True)

        assert queue.declaration_result.message_count == 2


def _steer(client: Client) -> None:
    """Pause, queue up, look, change one's mind, and go on."""
    queue = client.queue("download")
    assert queue.pause("for a test").why == "for a test"
    failing = client.add_job("download", {"do": "reject", "name": "no"}, unique="once")
    same = client.publish("download", {"do": "reject", "name": "no"}, unique="once")
    other = client.publish("download", {"name": "other"}, priority="low", id="a/b c")
    assert same.id == failing.id
    assert other.status().attempts_made == 0
    assert other.prioritize("critical").priority == 1
    assert (queue.show().paused, queue.metrics().paused) == (True, 1)
    assert client.publish("download", {"name": "x"}).remove().state == "removed"
    with pytest.raises(StillRunningError, match=r"after 0\.1 s"):
        other.wait(within=0.1)
    queue.resume()
    assert other.result() == {"name": "other", "attempt": 1}
    with pytest.raises(ConflictError, match="completed"):
        other.cancel()
    with pytest.raises(JobFailedError, match="has no result") as failed:
        failing.result()
    assert failed.value.job.history[0].error
    assert {job.id for job in client.jobs(state="failed", limit=1)} == {failing.id}
    assert queue.retry_failed(limit=5).jobs == 1
    assert failing.wait().state == "failed"
    assert client.worker_stats("download-1").worker_id == "download-1"
    assert client.health().total_workers == 1
    assert queue.clean("failed", older=0).jobs == 1
    with pytest.raises(UnknownError, match="daily"):
        client.schedule("daily").show()


def _refuse(url: str) -> None:
    """Be told in clear words what cannot be."""
    with Client(url) as client, pytest.raises(NotAllowedError, match="token"):
        client.health()
    with Client(url, token=SHOP) as client:
        assert client.publish("download", {"name": "shop"}).wait().state == "completed"
        with pytest.raises(NotAllowedError, match="admin"):
            client.queue("download").pause()
    with Client(url, token=ADMIN) as client:
        with pytest.raises(UnknownError, match="nonsense"):
            client.publish("nonsense", {})
        with pytest.raises(BadOrderError, match="priority"):
            client.publish("download", {}, priority="urgent")
    with Client(NOBODY, tries=2) as client, pytest.raises(UnreachableError, match="no supervisor"):
        client.publish("download", {})


async def _wait(client: AsyncClient) -> None:
    """Do the same with a loop, and go on in a stream where one left it."""
    async with client.events(names=["completed"]) as events:
        first = await client.publish("download", {"name": "first"})
        heard = await anext(aiter(events))
    second = await client.publish("download", {"name": "second"})
    await second.result()
    async with client.events(names=["completed"], after=heard.key) as events:
        followed = await anext(aiter(events))

    assert (heard.id, followed.id) == (first.id, second.id)
    schedule = client.schedule("hourly")
    assert (await schedule.set("download", {"name": "tick"}, every=3600)).every == 3600
    assert await (await schedule.run()).result() == {"name": "tick", "attempt": 1}
    assert (await schedule.pause()).paused
    assert [each.name for each in await client.schedules()] == ["hourly"]
    await schedule.remove()
    listed = [job.id async for job in client.jobs(pool="download", limit=1)]
    assert len(listed) == len(set(listed)) > 3


def _examples(port: int, *, over_amqp: bool) -> str:
    found = [text for text in EXAMPLE.findall(PAGE.read_text()) if ("amqp:" in text) is over_amqp]
    assert found
    return "\n".join(found).replace("127.0.0.1:8080", f"127.0.0.1:{port}")


def _watch(program: Program) -> str:
    """Return the example that looks whether queues are well."""
    found: str
    (found,) = [text for text in EXAMPLE.findall(HABITS.read_text()) if "sys.exit" in text]
    return found.replace("var/supervisor.sock", str(program.socket))


def _run(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
