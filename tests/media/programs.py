"""Stand-ins for ffmpeg and ffprobe that do what they are told: with a note of it, or not quite."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

Commands = Callable[[], list[list[str]]]


def noting(folder: Path) -> tuple[dict[str, object], Commands]:
    """Return the options of a pool that uses the stand-ins, and what tells the commands so far."""
    folder.mkdir()
    notes = folder / "commands"
    notes.touch()
    for name in ("ffmpeg", "ffprobe"):
        _place(folder, name, f"printf '%s\\0' {name} \"$@\" '' >> {shlex.quote(str(notes))}")

    def commands() -> list[list[str]]:
        told = notes.read_text().split("\0\0")
        return [command.split("\0") for command in told if command]

    return _options(folder), commands


def spoiling(folder: Path, listing: str, *, times: int) -> dict[str, object]:
    """Return the options of a pool whose ffmpeg, so many times, uses one second of a listing."""
    folder.mkdir()
    spoilt = shlex.quote(str(folder / "spoilt"))
    is_due = f'[ "$(cat {spoilt} 2>/dev/null | wc -l)" -lt {times} ]'
    spoil = f'case "$*" in *{listing}*) {is_due} && echo >> {spoilt} && set -- -t 1 "$@";; esac'
    _place(folder, "ffmpeg", spoil)
    _place(folder, "ffprobe", "")
    return _options(folder)


def _place(folder: Path, name: str, first: str) -> None:
    real = shlex.quote(shutil.which(name) or name)
    program = folder / name
    program.write_text(f'#!/bin/sh\n{first}\nexec {real} "$@"\n')
    program.chmod(0o755)


def _options(folder: Path) -> dict[str, object]:
    # Confined, they could write no notes.
    return {"ffmpeg": str(folder / "ffmpeg"), "confine": False}
