"""Shell completion: in a real bash the words are completed; each shell's half is printed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.cli.completion import SCRIPT
from supervisor.cli.main import cli
from tests.support.brokers import skip_or_fail

CONFIG = """
broker: embedded
workers:
  webhooks: {queue: hooks, processor: my.hooks}
  workflow: {queue: flows, processor: my.flows}
  email: {queue: mails, processor: my.mails}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "supervisor.yaml").write_text(CONFIG)
    program = tmp_path / SCRIPT
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m supervisor "$@"\n')
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (("retry-f",), {"retry-failed"}),
        (("drain", "w"), {"webhooks", "workflow"}),
        (("-c", "supervisor.yaml", "work", ""), {"webhooks", "workflow", "email"}),
        (("queues", "--j"), {"--json"}),
        (("restart", "em"), {"email", "email-1"}),
        (("events", "--queue", ""), {"hooks", "flows", "mails"}),
        (("jobs", "--pool", "web"), {"webhooks"}),
        (("-c", "none.yaml", "drain", "w"), set[str]()),
    ],
)
def test_bash_completes_commands_options_and_pools(
    folder: Path, words: Sequence[str], completed: set[str]
) -> None:
    listed = " ".join(f"'{word}'" for word in (SCRIPT, *words))
    script = (
        f'eval "$({SCRIPT} completion bash)"; complete -p {SCRIPT} >&2; '
        f"COMP_WORDS=({listed}); COMP_CWORD={len(words)}; "
        f'_rabbit_supervisor_completion {SCRIPT}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )

    done = _bash(script, folder)

    assert set(done.stdout.split()) == completed, done.stderr
    assert SCRIPT in done.stderr


@pytest.mark.parametrize(("shell", "word"), [("zsh", "compdef"), ("fish", "complete --no-files")])
def test_other_shells_get_their_own_half(shell: str, word: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])

    assert done.exit_code == 0
    assert word in done.output
    assert SCRIPT in done.output


def _bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    environment.pop("SUPERVISOR_CONFIG", None)
    try:
        return subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=25,
            check=False,
        )
    except FileNotFoundError:
        skip_or_fail("bash is not installed")
        raise
