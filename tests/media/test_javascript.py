"""What ``doctor`` says of the program that YouTube's links come out of."""

from pathlib import Path

import pytest

from workers.media.fetching import javascript


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where programs are looked for; it is empty."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path / "none"))
    return tmp_path


def install(folder: Path, name: str, says: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)


def test_a_machine_without_any_is_told_so(programs: Path) -> None:
    assert javascript.report() == "lacking: no runtime was found"


def test_one_that_is_too_old_is_named_with_what_is_wanted(programs: Path) -> None:
    install(programs, "node", "v20.20.2")

    assert javascript.report() == "lacking: node 20.20.2 is older than node 22"


@pytest.mark.parametrize(
    ("name", "says", "found"),
    [
        ("deno", "deno 2.9.8 (stable, release, x86_64)", "deno 2.9.8"),
        ("node", "v22.1.0", "node 22.1.0"),
        ("bun", "1.2.11", "bun 1.2.11"),
        ("qjs", "QuickJS version 2024-01-13", "quickjs 2024-01-13"),
    ],
)
def test_one_that_will_do_is_named_and_so_is_its_missing_half(
    programs: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str, found: str
) -> None:
    install(programs, name, says)
    monkeypatch.setattr(javascript, "PIECES", "no_such_package")

    without = javascript.report()
    monkeypatch.setattr(javascript, "PIECES", "json")

    assert without == f"lacking: {found} is there, the package no_such_package is not"
    assert javascript.report() == f"ok: {found}"


def test_one_that_does_not_run_counts_as_absent(programs: Path) -> None:
    install(programs, "deno", "")

    assert javascript.report() == "lacking: no runtime was found"
