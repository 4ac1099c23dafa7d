"""The program behind an address: asked with tokens from elsewhere, and split into two services."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.journeys.conftest import Configured
from tests.support.ledgers import postgres, postgres_url
from tests.support.ports import free_port
from tests.support.program import REPOSITORY, Program

__all__ = ["postgres", "postgres_url"]

pytestmark = [pytest.mark.journey, pytest.mark.timeout(120)]

ADMIN, SHOP = "hush-token-of-an-admin", "hush-token-of-a-shop"
FAILED, USAGE = 1, 2
POOLS: Mapping[str, Mapping[str, object]] = {"toy": {}}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a program listens, and the files with the tokens for it."""

    port: int
    tokens: Path
    admin: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asks(self, token: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=10, trust_env=False)


@pytest.fixture
def address(tmp_path: Path) -> Address:
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(
        f"ops: {{token: {ADMIN}, roles: [admin]}}\nshop: {{token: {SHOP}, roles: [submit]}}\n"
    )
    tokens.chmod(0o600)
    admin = tmp_path / "admin.token"
    admin.write_text(f"{ADMIN}\n")
    return Address(free_port(), tokens, admin)


@pytest.fixture
def listening(configured: Configured, address: Address) -> Program:
    http = {"listen": f"127.0.0.1:{address.port}", "tokens": str(address.tokens)}
    return configured(POOLS, http=http).start()


def test_the_command_line_asks_a_supervisor_elsewhere(
    listening: Program, address: Address, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.token"
    wrong.write_text("hush-of-nobody-at-all")
    token = ("--url", address.url, "--token-file", str(address.admin))
    by_environment = {"SUPERVISOR_URL": address.url, "SUPERVISOR_TOKEN": ADMIN}

    done = _elsewhere("publish", "toy", "--data", '{"name": "far"}', "--wait", *token)
    listed = _elsewhere("jobs", "--json", **by_environment)
    without = _elsewhere("status", "--url", address.url)
    unknown = _elsewhere("status", "--url", address.url, "--token-file", str(wrong))
    missing = _elsewhere("status", "--url", address.url, "--token-file", str(tmp_path / "none"))
    nobody = _elsewhere("status", "--url", "http://127.0.0.1:1")
    tls = _elsewhere("status", "--url", address.url.replace("http", "https"))
    spelled = _elsewhere("status", "--url", "ftp://127.0.0.1")

    assert (done.returncode, "completed" in done.stdout) == (0, True), done.stderr
    assert [job["state"] for job in json.loads(listed.stdout)] == ["completed"]
    assert "wants a token: name its file with --token-file" in without.stderr
    assert "does not know this token" in unknown.stderr
    assert "cannot be read: No such file" in missing.stderr
    assert "no supervisor answers at http://127.0.0.1:1" in nobody.stderr
    assert "no safe line to https://127.0.0.1" in tls.stderr
    assert "must be like http://host:port" in spelled.stderr
    refused = (without, unknown, missing, nobody, tls)
    assert {each.returncode for each in refused} == {FAILED}
    assert spelled.returncode == USAGE
    told = [each.stdout + each.stderr for each in (done, listed, spelled, *refused)]
    assert not any("hush" in each or "Traceback" in each for each in told)


def test_tokens_are_followed_while_it_runs_and_told_nowhere(
    listening: Program, address: Address
) -> None:
    with address.asks(ADMIN) as client:
        assert client.get("/api/status").status_code == 200
        order = {"pool": "toy", "data": {"do": "reject"}}
        assert client.post("/api/jobs", json=order).status_code == 202
        address.tokens.write_text("ops: {token: hush-quite-another-one, roles: [admin]}\n")
        listening.wait_for_line("tokens read again")
        assert client.get("/api/status").status_code == 401
    checked = listening.cli("check")

    assert checked.returncode == 0, checked.stderr
    listening.stop()
    written = {
        str(file): file.read_bytes().decode(errors="replace")
        for file in listening.folder.rglob("*")
        if file.is_file()
    }
    assert [name for name, text in written.items() if "hush" in text] == []
    assert "hush" not in checked.stdout


def test_an_address_that_is_taken_is_said_and_nothing_stays(
    configured: Configured, listening: Program, address: Address
) -> None:
    second = configured(POOLS, http={"listen": f"127.0.0.1:{address.port}"})
    second.start(wait=False)

    assert second.wait() == FAILED
    assert f"http.listen: 127.0.0.1:{address.port}: Address already in use" in second.log


def test_tokens_that_everybody_may_read_are_a_mistake_of_the_configuration(
    configured: Configured, address: Address
) -> None:
    address.tokens.chmod(0o644)
    http = {"listen": "127.0.0.1:0", "tokens": str(address.tokens)}
    program = configured(POOLS, http=http)

    done = program.cli("check")

    assert done.returncode == 78
    assert "chmod 600" in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.rabbitmq
def test_one_service_takes_jobs_and_another_does_them(
    configured: Configured, address: Address, vhost_url: str
) -> None:
    http = {"listen": f"127.0.0.1:{address.port}", "tokens": str(address.tokens)}
    elsewhere = {"root": "/proc/none"}  # who does no work needs no folder for results
    taking = configured(POOLS, broker=vhost_url, http=http, media=elsewhere)
    taking.start(WORKER_MODE="false")
    doing = configured(POOLS, broker=vhost_url, http=http).start(WORKER_MODE="true")

    with address.asks(SHOP) as client:
        orders = [{"pool": "toy", "data": {"name": str(n)}} for n in range(5)]
        orders.append({"pool": "toy", "data": {"do": "reject"}})
        answer = client.post("/api/jobs/bulk", json=orders)

    assert (answer.status_code, answer.json()["accepted"]) == (202, 6)
    doing.wait_for_count("completed", 5)
    doing.wait_for_count("failed", 1)  # the dead letter is for those who did the work
    assert [view.pool for view in doing.status().workers] == ["toy"]
    assert taking.status().workers == ()
    assert taking.count("failed") == 0
    with address.asks(SHOP) as client:
        assert client.get("/readyz").status_code == 200
    assert taking.stop() == 0
    assert doing.stop() == 0


@pytest.mark.rabbitmq
@pytest.mark.postgres
def test_with_one_ledger_for_both_the_api_knows_what_became_of_a_job(
    configured: Configured, address: Address, vhost4_url: str, postgres_url: str
) -> None:
    http = {"listen": f"127.0.0.1:{address.port}", "tokens": str(address.tokens)}
    taking = configured(POOLS, vhost4_url, http=http, ledger=postgres_url)
    doing = configured(POOLS, vhost4_url, ledger=postgres_url)
    taking.start(WORKER_MODE="false")
    doing.start(WORKER_MODE="true")

    with address.asks(SHOP) as client:
        job = client.post("/api/jobs", json={"pool": "toy", "data": {"name": "one"}}).json()
        dead = client.post("/api/jobs", json={"pool": "toy", "data": {"do": "reject"}}).json()

        def ended(asked: str) -> str:
            """Return the state of a job once it is over, as the api tells it."""
            taking.wait_until(lambda: _state(client, asked) in {"completed", "failed"}, asked)
            return _state(client, asked)

        assert [ended(job["id"]), ended(dead["id"])] == ["completed", "failed"]


def _state(client: httpx.Client, job: str) -> str:
    return str(client.get(f"/api/jobs/{job}/status").json()["state"])


def _elsewhere(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command where there is no configuration at all."""
    return subprocess.run(
        [sys.executable, "-m", "supervisor", "-c", "/nonexistent.yaml", *words],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
