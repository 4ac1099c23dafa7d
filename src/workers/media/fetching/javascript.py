"""Whether there is a JavaScript runtime: YouTube's pages hide their links behind a riddle in it.

yt-dlp runs one that it finds beside Python or in PATH. Asked by ``doctor``; nothing fails here.
"""

import importlib.util
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PATIENCE = 10.0  # seconds for a program to say its version
PIECES = "yt_dlp_ejs"  # the other half: yt-dlp's own scripts


@dataclass(frozen=True, slots=True)
class Runtime:
    """A program that yt-dlp can use, from a version on."""

    name: str
    program: str
    least: tuple[int, ...]
    asked: str = "--version"

    @property
    def wanted(self) -> str:
        """What to install, in words."""
        separator = "-" if self.name == "quickjs" else "."
        return f"{self.name} {separator.join(map(str, self.least))}"


# From yt-dlp's own list, in its order of preference.
RUNTIMES = (
    Runtime("deno", "deno", (2, 3)),
    Runtime("node", "node", (22,)),
    Runtime("quickjs", "qjs", (2023, 12, 9), asked="--help"),
    Runtime("bun", "bun", (1, 2, 11)),
)
_VERSION = re.compile(r"\d+(?:[.-]\d+)+")


def report() -> str:
    """Return ``ok`` or ``lacking``, a colon, and what was found, on one line."""
    seen = [(runtime, version) for runtime in RUNTIMES for version in _versions(runtime)]
    fit = [(runtime, version) for runtime, version in seen if _numbers(version) >= runtime.least]
    if not fit:
        old = [f"{one.name} {version} is older than {one.wanted}" for one, version in seen]
        return f"lacking: {'; '.join(old) or 'no runtime was found'}"
    runtime, version = fit[0]
    if importlib.util.find_spec(PIECES) is None:
        return f"lacking: {runtime.name} {version} is there, the package {PIECES} is not"
    return f"ok: {runtime.name} {version}"


def _versions(runtime: Runtime) -> Iterator[str]:
    """Yield the version of a runtime, if it is there and says one."""
    folders = (sysconfig.get_path("scripts"), None)
    program = next(filter(None, (shutil.which(runtime.program, path=at) for at in folders)), None)
    match = _VERSION.search(_said((program, runtime.asked))) if program else None
    if match is not None:
        yield match.group()


def _said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=PATIENCE, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.split(r"[.-]", version))
