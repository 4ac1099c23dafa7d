"""The page about the HTTP API: its examples are run as they stand there."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.journeys.conftest import Configured
from tests.support.brokers import skip_or_fail
from tests.support.ports import free_port

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

PAGE = Path(__file__).parents[2] / "docs" / "http.md"
EXAMPLE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_page_work(configured: Configured, tmp_path: Path) -> None:
    token = "the-token-of-an-administrator"  # noqa: S105 - of this test
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(f"ops: {{token: {token}, roles: [admin]}}\n")
    tokens.chmod(0o600)
    (tmp_path / "admin.token").write_text(f"{token}\n")
    port = free_port()
    http = {"listen": f"127.0.0.1:{port}", "tokens": str(tokens)}
    configured({"toy": {}}, http=http).start()
    examples = EXAMPLE.findall(PAGE.read_text())
    script = "\n".join(examples).replace("127.0.0.1:8080", f"127.0.0.1:{port}")

    done = _run(script, tmp_path)

    assert len(examples) >= 7
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"id":"order-4711"' in done.stdout
    assert '"accepted":2,"refused":0' in done.stdout
    assert '"status":"ok","uptime":' in done.stdout


def _run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except FileNotFoundError:
        skip_or_fail("bash is not installed")
        raise
