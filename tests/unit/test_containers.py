"""What we hand to those who run containers: one image, two services, secrets in files."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from supervisor.config.load import load
from supervisor.config.settings import Role
from supervisor.config.tokens import read_tokens
from supervisor.core.callers import Role as Right
from supervisor.core.callers import caller_of

TOP = Path(__file__).parents[2]
DEPLOY = TOP / "deploy"
SCHEMA = TOP / "tests" / "support" / "compose.schema.json"
OURS = ("api", "worker")


def _compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def _steps() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, each in one line."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_compose_file_follows_the_compose_specification() -> None:
    jsonschema.validate(_compose(), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("name", OURS)
def test_each_service_has_its_limits_and_a_health_check(name: str) -> None:
    service = _compose()["services"][name]

    resources = service["deploy"]["resources"]
    assert resources["limits"] == {"cpus": "0.8", "memory": "768M"}
    assert resources["reservations"] == {"cpus": "0.3", "memory": "256M"}
    assert service["healthcheck"]["test"][:2] == ["CMD", "healthcheck"]
    assert "container_name" not in service  # with one it could not be scaled


def test_the_services_differ_in_their_role_and_the_api_alone_is_reachable() -> None:
    services = _compose()["services"]

    assert [services[name]["command"] for name in OURS] == [
        ["run", "--role", "api"],
        ["run", "--role", "worker"],
    ]
    assert "ports" not in services["worker"]
    (port,) = services["api"]["ports"]
    assert port.endswith(":3003")
    assert "127.0.0.1" in port


def test_every_secret_is_a_file_that_exists_once_and_none_is_in_the_environment() -> None:
    compose = _compose()
    for service in compose["services"].values():
        named = [each if isinstance(each, str) else each["source"] for each in service["secrets"]]
        assert set(named) <= set(compose["secrets"])
        for name in service.get("environment", {}):
            assert not re.search("PASS|TOKEN|SECRET|URL", name) or name.endswith("_FILE"), name


def test_the_secrets_that_are_made_fit_together_and_are_nobodys_business(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    environ = os.environ | {"SUPERVISOR_UID": str(os.getuid())}
    command = ["sh", str(DEPLOY / "secrets.sh"), str(folder)]

    subprocess.run(command, check=True, capture_output=True, env=environ, timeout=20)
    again = subprocess.run(command, capture_output=True, env=environ, timeout=20, check=False)

    made = {file.name: file.read_text() for file in folder.iterdir()}
    wanted = {Path(each["file"]).name for each in _compose()["secrets"].values()}
    assert wanted | {"admin_token", "submit_token"} == set(made)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    password = re.search("default_pass = (.*)", made["rabbitmq.conf"])
    assert password is not None
    assert password[1] in made["broker_url"]
    assert made["postgres_password"] in made["ledger_url"]
    keys = read_tokens(folder / "tokens.yaml")
    admin, publisher = (caller_of(made[name], keys) for name in ("admin_token", "submit_token"))
    assert admin is not None
    assert publisher is not None
    assert admin.roles == {Right.ADMIN}
    assert publisher.roles == {Right.SUBMIT}
    assert again.returncode != 0


@pytest.mark.parametrize("role", [Role.API, Role.WORKER])
def test_the_configuration_of_the_containers_is_right_for_both(role: Role, tmp_path: Path) -> None:
    url = tmp_path / "broker_url"
    url.write_text("amqp://supervisor:secret@rabbitmq:5672/")
    environ = {"BROKER_URL_FILE": str(url), "SUPERVISOR_ROLE": role.value}

    settings = load(DEPLOY / "container.yaml", environ)

    assert settings.broker.endswith("@rabbitmq:5672/")
    limits = sum((pool.memory or 0) * pool.instances for pool in settings.workers.values())
    assert limits < 768_000_000
    if role is Role.API:
        assert settings.http.listen is not None
        assert settings.http.listen.port == 3003


def test_the_image_is_built_in_two_stages_and_runs_as_nobody_special() -> None:
    steps = _steps()
    kinds = [kind for kind, _ in steps]

    assert kinds.count("FROM") == 2
    last = steps[len(kinds) - 1 - kinds[::-1].index("FROM") :]
    final = dict(last)
    assert final["USER"] == "10001:10001"
    assert final["EXPOSE"] == "3003"
    assert final["HEALTHCHECK"].endswith('CMD ["healthcheck"]')
    assert json.loads(final["ENTRYPOINT"]) == ["python", "-m", "supervisor"]
    installs = [words for kind, words in last if kind == "RUN" and "pip" in words]
    assert installs == []  # the tools stay in the first stage


def test_all_that_the_image_copies_is_there_and_sent_to_the_builder() -> None:
    sent = (TOP / ".dockerignore").read_text().splitlines()
    for kind, words in _steps():
        if kind != "COPY" or "--from" in words:
            continue
        for name in [word for word in words.split()[:-1] if not word.startswith("--")]:
            assert (TOP / name).exists(), name
            assert f"!{name.split('/')[0]}" in sent, name
    assert "deploy/secrets" in sent


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Path]:
    """Somebody who answers one request on a socket with 200."""
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(10)

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                asked = connection.recv(1000)
                code = b"200 OK" if asked.startswith(b"GET /livez ") else b"404 Not Found"
                connection.sendall(b"HTTP/1.1 " + code + b"\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield path
        thread.join(10)


def test_the_health_check_asks_whether_the_coordinator_lives(
    answering: Path, tmp_path: Path
) -> None:
    well = _health(SUPERVISOR_SOCKET=str(answering))
    gone = _health(SUPERVISOR_SOCKET=str(tmp_path / "none.sock"))
    unreachable = _health("http://127.0.0.1:1")

    assert (well.returncode, well.stderr) == (0, "")
    assert (gone.returncode, unreachable.returncode) == (1, 1)
    assert "no answer" in gone.stderr


def _health(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEPLOY / "healthcheck"), *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
