"""The units that work a pool off: they say what the program understands, as the service does."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from supervisor.cli.main import cli
from supervisor.config.values import duration

DEPLOY = Path(__file__).parents[2] / "deploy"


def _section(name: str, section: str) -> dict[str, str]:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # keys as they are written
    unit.read_string((DEPLOY / name).read_text())
    return dict(unit[section])


SERVICE = _section("rabbit-supervisor-work@.service", "Service")


def test_the_command_is_one_that_the_program_understands() -> None:
    program, *words = SERVICE["ExecStart"].split()
    assert words[:4] == ["-m", "supervisor", "-c", "/etc/rabbit-supervisor/supervisor.yaml"]
    assert program.endswith("/python")

    command = cli.commands[words[4]]
    context = command.make_context("work", words[5:], resilient_parsing=True)

    assert context.params["pool"] == "%i"
    assert isinstance(command, click.Command)


def test_it_runs_where_and_as_whom_the_service_does() -> None:
    resident = _section("rabbit-supervisor.service", "Service")

    for key in ("User", "Group", "WorkingDirectory", "EnvironmentFile"):
        assert SERVICE[key] == resident[key]


def test_systemd_is_more_patient_than_the_command() -> None:
    (limit,) = re.findall(r"--max-seconds (\S+)", SERVICE["ExecStart"])
    patience = SERVICE["TimeoutStartSec"].replace("min", "m")

    assert duration(patience) > duration(limit) + 60


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_how_often() -> None:
    moment = _section("rabbit-supervisor-work@.timer", "Timer")["OnCalendar"]

    done = subprocess.run(
        ["systemd-analyze", "calendar", moment], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
