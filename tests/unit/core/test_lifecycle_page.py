"""The page about a worker's life is made from the table and says so when it is stale."""

import subprocess
import sys
from pathlib import Path

from supervisor.core.lifecycle import TABLE

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "tools" / "lifecycle_page.py"


def test_the_page_is_what_the_table_says() -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, "--check"], check=False, capture_output=True, timeout=20
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_stale_page_is_reported_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "src").symlink_to(ROOT / "src")
    program = tmp_path / "tools" / PROGRAM.name
    program.write_text(PROGRAM.read_text(encoding="utf-8"), encoding="utf-8")
    page = tmp_path / "docs" / "lifecycle.md"
    page.write_text("old", encoding="utf-8")
    check = [sys.executable, str(program), "--check"]

    stale = subprocess.run(check, check=False, capture_output=True, timeout=20)
    assert (stale.returncode, page.read_text(encoding="utf-8")) == (1, "old")
    assert b"run tools/docs" in stale.stderr

    subprocess.run([sys.executable, program], check=True, timeout=20)
    assert subprocess.run(check, check=False, timeout=20).returncode == 0


def test_the_page_draws_every_arrow() -> None:
    page = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")

    for state, row in TABLE.items():
        for following in set(row.values()) - {state}:
            assert f"    {state.value} --> {following.value}: " in page
