"""Stand-ins for ffmpeg and ffprobe that note what they are told, and then do it."""

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
        real = shlex.quote(shutil.which(name) or name)
        note = f"printf '%s\\0' {name} \"$@\" '' >> {shlex.quote(str(notes))}"
        program = folder / name
        program.write_text(f'#!/bin/sh\n{note}\nexec {real} "$@"\n')
        program.chmod(0o755)

    def commands() -> list[list[str]]:
        told = notes.read_text().split("\0\0")
        return [command.split("\0") for command in told if command]

    # Confined, they could write no notes.
    return {"ffmpeg": str(folder / "ffmpeg"), "confine": False}, commands
