"""What we hand to operators is valid: the systemd unit and the compose file for RabbitMQ."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from supervisor import guard
from supervisor.config.load import load
from supervisor.core import vitals
from supervisor.processes import START_PATIENCE
from tests.support.brokers import skip_or_fail

TOP = Path(__file__).parents[2]
UNIT = TOP / "deploy" / "rabbit-supervisor.service"
COMMAND = TOP / "deploy" / "rabbit-supervisor"
COMPOSE = TOP / "docker-compose.rabbitmq.yml"
SCHEMA = TOP / "tests" / "support" / "compose.schema.json"


@pytest.fixture
def installed_unit(tmp_path: Path) -> Path:
    """The unit as it is after installation: with an interpreter that exists."""
    if shutil.which("systemd-analyze") is None:
        skip_or_fail("systemd-analyze is not installed")
    text = UNIT.read_text()
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("/opt/rabbit-supervisor/.venv/bin/python", sys.executable))
    return copy


def _analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=25, check=False)


def test_systemd_accepts_the_unit_without_a_word(installed_unit: Path) -> None:
    # The exit code alone proves nothing: an unknown key or type is only printed.
    done = _analyze("verify", "--man=no", "--recursive-errors=no", str(installed_unit))

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_an_unknown_key_in_the_unit_would_be_noticed(installed_unit: Path) -> None:
    installed_unit.write_text(installed_unit.read_text() + "\n[Service]\nNoSuchKey=yes\n")

    done = _analyze("verify", "--man=no", "--recursive-errors=no", str(installed_unit))

    assert "NoSuchKey" in done.stderr


def test_the_service_is_hardened(installed_unit: Path) -> None:
    done = _analyze("security", "--offline=true", "--threshold=25", str(installed_unit))

    level = re.search(r"Overall exposure level .*: ([0-9.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) <= 2.5
    assert done.returncode == 0


def test_the_unit_promises_nothing_that_is_not_there() -> None:
    assert "Documentation" not in UNIT.read_text()
    assert _unit()["Type"] == "notify"  # notify-reload is unknown to Debian 12
    assert signal.SIGHUP in guard.FORWARDED
    assert _unit()["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_only_the_guard_can_speak_for_the_service() -> None:
    assert _unit()["NotifyAccess"] == "main"


def test_the_time_to_stop_fits_the_grace_of_a_default_configuration(tmp_path: Path) -> None:
    file = tmp_path / "supervisor.yaml"
    file.write_text("workers: {toy: {queue: q, processor: p}}\n")
    stop_grace = load(file, {}).stop_grace

    assert int(_unit()["TimeoutStopSec"].removesuffix("s")) >= stop_grace + vitals.FAREWELL


def test_the_watchdog_is_more_patient_than_a_start_of_a_worker() -> None:
    # The loop waits for a start; alive is said at half of the time at the latest.
    half = int(_unit()["WatchdogSec"].removesuffix("min")) * 60 / 2

    assert half > 2 * START_PATIENCE


def test_commands_run_as_the_service_does(tmp_path: Path) -> None:
    said = tmp_path / "systemd-run"
    said.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    said.chmod(0o755)
    unit = _unit()
    command = [str(COMMAND), "show", "a b", "--json"]

    done = subprocess.run(
        command,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )

    words = done.stdout.splitlines()
    assert f"--uid={unit['User']}" in words
    assert f"--gid={unit['Group']}" in words
    assert f"--working-directory={unit['WorkingDirectory']}" in words
    assert f"--property=EnvironmentFile={unit['EnvironmentFile']}" in words
    assert "--pipe" in words
    assert words[-8:] == [*unit["ExecStart"].split(), "show", "a b", "--json"]


def _unit() -> dict[str, str]:
    return dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line)


def _compose() -> Any:
    return yaml.safe_load(COMPOSE.read_text())


def test_the_compose_file_follows_the_compose_specification() -> None:
    jsonschema.validate(_compose(), json.loads(SCHEMA.read_text()))


def test_docker_accepts_the_compose_file() -> None:
    if not _has_compose():
        pytest.skip("docker compose is not installed; the schema above speaks for it")
    command = ["docker", "compose", "-f", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=25, check=False)

    assert (done.stderr, done.returncode) == ("", 0)


def _has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    command = ["docker", "compose", "version"]
    return subprocess.run(command, capture_output=True, timeout=25, check=False).returncode == 0


def test_the_broker_is_reachable_from_this_machine_only() -> None:
    ports = _compose()["services"]["rabbitmq"]["ports"]

    assert ports != []
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_brokers_volume_is_a_named_one() -> None:
    compose = _compose()
    source = compose["services"]["rabbitmq"]["volumes"][0].split(":")[0]

    assert source in compose["volumes"]


def test_the_brokers_credentials_come_from_the_environment() -> None:
    given = _compose()["services"]["rabbitmq"]["environment"]

    assert given["RABBITMQ_DEFAULT_USER"] == "${RABBITMQ_USER:-guest}"
    assert given["RABBITMQ_DEFAULT_PASS"] == "${RABBITMQ_PASSWORD:-guest}"  # noqa: S105 - a name
