"""Secrets are planted wherever there can be any, then looked for in everything that is shown."""

import contextlib
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest

from tests.journeys.conftest import Configured
from tests.support.ports import free_port
from tests.support.program import Program
from tests.support.rabbitmq import PrivateRabbit
from tests.support.receiver import Answer, Receiver
from workers.descendants import descendants

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]

MARK = "hush"  # in every secret
USER, PASSWORD = "planted", "br@ker/hush-1"
SECRETS = {
    "HOOK_SECRET": "hush-2-signs-the-hook",
    "PROXY": "http://proxy-user:hush-3@127.0.0.1:9",
    "ADDRESS": "redis://planted:hush-4@cache.example.org/0",
    "API_TOKEN": "hush-5-token",
}
# What is in a job is its publisher's: it is shown with the job, and nowhere else.
LINK = "http://127.0.0.1:9/watch?v=1&access_token=link-token"
POOLS: Mapping[str, Mapping[str, object]] = {
    "rogue": {
        "processor": "tests.support.rogues",
        "retry": {"attempts": 1},
        "options": {"address": "${ADDRESS}", "api_token": "${API_TOKEN}"},
    },
    "download": {
        "processor": "workers.download",
        "retry": {"attempts": 1},
        "options": {"proxy": "${PROXY}"},
    },
}


def assert_hushed(outputs: Mapping[str, str]) -> None:
    """Look for every planted secret in every output."""
    found = {
        name: text[max(0, text.index(MARK) - 200) : text.index(MARK) + 40]
        for name, text in outputs.items()
        if MARK in text
    }
    assert found == {}
    assert all(outputs.values()), [name for name, text in outputs.items() if not text]


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    """Refuse every notice, so that there is something to say about it."""
    with Receiver(*[Answer(500)] * 50) as listening:
        yield listening


def _notify(hooks: Receiver) -> dict[str, object]:
    url = hooks.url.replace("path-secret", "hush-6-path?key=hush-7-query")
    hook = {"url": url.replace("http://", "http://hooked:hush-8@"), "secret": "${HOOK_SECRET}"}
    return {"sinks": [{"log": True}, {"webhook": hook}]}


@pytest.mark.rabbitmq
def test_a_planted_secret_is_shown_nowhere(
    rabbit: PrivateRabbit, configured: Configured, hooks: Receiver
) -> None:
    broker = _planted_broker(rabbit)
    logs = {"format": "json", "level": "debug"}
    program = configured(POOLS, "${BROKER_URL}", notify=_notify(hooks), logs=logs)
    program.may_raise = True
    program.start(wait=True, BROKER_URL=broker, **SECRETS)
    events = _listen(program)
    jobs = [
        *program.submit("rogue", {"do": "leak", "from": "ana"}, {"do": "boast"}),
        *program.submit("download", {"link": LINK, "from": "ana"}),
    ]
    program.wait_for_state("failed", jobs[0], jobs[2])
    program.wait_until(lambda: not hooks.requests.empty(), "a notice to be posted")
    program.wait_until(lambda: program.worker("rogue-1").last_restart, "a worker to be replaced")
    program.send(signal.SIGUSR2)
    program.wait_until(lambda: "worker described" in program.log, "the workers to be described")
    program.wait_until(lambda: "notice not delivered" in program.log, "the refusal to be told")

    assert_hushed(_processes(program))
    assert_hushed(_answers(program, jobs))
    assert_hushed({"events": _heard(events)})
    commands = _commands(program, jobs, BROKER_URL=broker, **SECRETS)
    assert_hushed(commands)
    assert "link-token" in commands[f"show {jobs[2]}"]
    assert program.stop() == 0
    assert_hushed(_files(program))
    assert "link-token" not in program.log


@pytest.mark.rabbitmq
def test_what_is_said_of_a_broker_that_refuses_or_is_away_holds_no_secret(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    wrong = f"amqp://{USER}:{quote('hush-9-wrong', safe='')}@127.0.0.1:{rabbit.port}/"
    away = f"amqp://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{free_port()}/"
    rabbit.start()

    logs = {"format": "console", "level": "debug"}
    for broker in (wrong, away):
        program = configured({"toy": {}}, "${BROKER_URL}", logs=logs)
        _look_around_without_a_broker(program, broker)


@pytest.mark.parametrize(
    ("broker", "hook"),
    [
        ("amqp:planted:hush@h", "{url: 'http://h/'}"),
        ("amqp:planted:hush@h://", "{url: 'http://h/'}"),
        ("amqp://planted:hu/sh-hush@h/", "{url: 'http://h/'}"),
        ("amqp://planted:hush@h:port/", "{url: 'http://h/'}"),
        ("['amqp://planted:hush@h/']", "{url: 'http://h/'}"),
        ("embedded", "'http://h/hush'"),
        ("embedded", "{url: 'http://h/', secret: 'whsec_hush!'}"),
        ("embedded", "{url: 'ftp://u:hush@h/hush'}"),
        ("embedded", "{url: 'http://u:hush@h:port/hush'}"),
    ],
)
def test_a_mistake_around_a_secret_is_named_without_it(
    broker: str, hook: str, tmp_path: Path
) -> None:
    program = Program(tmp_path, {})
    program.config.write_text(
        f"broker: {broker}\nworkers: {{toy: {{queue: q, processor: examples.noop}}}}\n"
        f"notify: [{{webhook: {hook}}}]\n"
    )

    said = program.cli("check")

    assert said.returncode == 78
    assert_hushed({"check": said.stdout + said.stderr})


def _planted_broker(rabbit: PrivateRabbit) -> str:
    vhost = rabbit.fresh_vhost().rpartition("/")[2]
    with contextlib.suppress(Exception):  # from the run before
        rabbit.ctl("add_user", USER, PASSWORD)
    rabbit.ctl("set_permissions", "-p", vhost, USER, ".*", ".*", ".*")
    return f"amqp://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{rabbit.port}/{vhost}"


def _look_around_without_a_broker(program: Program, broker: str) -> None:
    program.start(wait=False, BROKER_URL=broker)
    program.wait_until(lambda: "broker away" in program.log, "the line")
    program.wait_until(lambda: _status(program), "an answer")

    asked = [("doctor",), ("status", "--json"), ("publish", "toy", "--data", "{}")]
    assert_hushed(_told(program, asked, BROKER_URL=broker))
    assert program.stop() == 0
    assert_hushed(_files(program))


def _status(program: Program) -> bool:
    with contextlib.suppress(Exception):  # it is not up yet
        return bool(program.status())
    return False


def _commands(program: Program, jobs: list[str], **environment: str) -> dict[str, str]:
    asked = [("check",), ("status",), ("status", "--json"), ("doctor",), ("jobs", "--json")]
    asked += [("show", "nothing"), *(("show", job) for job in jobs)]
    return _told(program, asked, **environment)


def _told(program: Program, asked: Sequence[tuple[str, ...]], **environment: str) -> dict[str, str]:
    with ThreadPoolExecutor(2) as two:
        done = two.map(lambda words: program.cli(*words, **environment), asked)
    return {
        " ".join(words): one.stdout + one.stderr for words, one in zip(asked, done, strict=True)
    }


def _answers(program: Program, jobs: list[str]) -> dict[str, str]:
    transport = httpx.HTTPTransport(uds=str(program.socket))
    with httpx.Client(transport=transport, base_url="http://supervisor", timeout=10) as client:
        paths = ["/api/none", *_readable(client, jobs)]
        told = {path: client.get(path).text for path in paths}
        assert "boast" in told[f"/api/jobs/{jobs[1]}"]
        assert "rogue-1" in told["/api/incidents"]
        assert "no answer from redis://" in told["/api/letters/export"]
        for body in (b"{", b"[]", b'{"pool": "none", "data": {}}', b'{"pool": 3}'):
            told[f"POST {body!r}"] = client.post("/api/jobs", content=body).text
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(program.socket))
        raw.sendall(b"NONSENSE\r\n\r\n")
        told["nonsense"] = raw.recv(4096).decode()
    return told


def _readable(client: httpx.Client, jobs: Sequence[str]) -> Iterator[str]:
    """Return every address that something can be read at, but for the endless one."""
    for path, methods in client.get("/schema/openapi.json").json()["paths"].items():
        if "get" in methods and path != "/api/events":
            for job in jobs if "{job_id}" in path else [""]:
                yield path.format(job_id=job, pool="rogue", worker="rogue-1", name="none")


def _listen(program: Program) -> socket.socket:
    """Have every event told."""
    listening = socket.socket(socket.AF_UNIX)
    listening.connect(str(program.socket))
    listening.sendall(b"GET /api/events HTTP/1.1\r\nHost: supervisor\r\n\r\n")
    return listening


def _heard(listening: socket.socket) -> str:
    """Return all that was told so far: of a job that failed at least."""
    told = b""
    with listening:
        listening.settimeout(10)
        while b"event: failed" not in told:
            told += listening.recv(65536)
        listening.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while True:
                told += listening.recv(65536)
    return told.decode()


def _processes(program: Program) -> dict[str, str]:
    """Return the command line of every process, and the environment of all below ours."""
    assert program.process is not None
    coordinator = program.status().pid
    told = {}
    for pid in (program.process.pid, coordinator, *descendants(coordinator)):
        with contextlib.suppress(psutil.NoSuchProcess):
            told[f"command line of {pid}"] = " ".join(psutil.Process(pid).cmdline())
    for pid in descendants(coordinator):
        with contextlib.suppress(psutil.NoSuchProcess):
            told[f"environment of {pid}"] = str(psutil.Process(pid).environ())
    return told


def _files(program: Program) -> dict[str, str]:
    """Return everything that was written, but for the configuration and empty files."""
    files = (file for file in program.folder.rglob("*") if file.is_file())
    read = {str(file): file.read_bytes() for file in files if file != program.config}
    return {name: content.decode(errors="replace") for name, content in read.items() if content}
