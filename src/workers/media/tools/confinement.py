"""What a tool may touch and use: its source, its job's folder, the system's programs; no more.

Strangers choose what ffmpeg reads, and its decoders are large. So each is started by a thread that
has given up everything else (``landlock``), where the kernel has that; limits of the system hold
everywhere. Pure, but for looking where things are.
"""

import math
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from workers.holdings import WORK
from workers.media.tools import landlock
from workers.media.tools.landlock import Reach

OURS = ("ffmpeg", "ffprobe")  # how the names of the programs begin that read strangers' files

# Programs, their libraries, and what those look at when they start.
_SYSTEM = tuple(
    Path(path)
    for path in (
        *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/gnu/store"),
        *("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/alternatives", "/etc/fonts"),
        *("/etc/localtime", "/dev/urandom", "/proc/cpuinfo", "/sys/devices/system"),
    )
)
# What names and certificates are looked up in.
_NETWORK = tuple(
    Path(path)
    for path in (
        *(
            "/etc/resolv.conf",
            "/etc/hosts",
            "/etc/nsswitch.conf",
            "/etc/host.conf",
            "/etc/gai.conf",
        ),
        *("/etc/services", "/etc/protocols", "/etc/passwd", "/etc/mime.types", "/etc/ssl"),
        *("/etc/pki", "/etc/ca-certificates", "/run/systemd/resolve", "/proc/meminfo"),
    )
)
_TEMPORARY = frozenset(map(Path, ("/", "/tmp", "/home", "/root", "/var/tmp")))  # noqa: S108

FILES = 512  # open at once: a sheet of pictures opens its source a hundred times
FOLD = 2  # a result may be so many times as large as its source, if that is more than allowed
PATIENCE = 60  # seconds of processor time beyond what the deadline leaves


@dataclass(frozen=True, slots=True)
class Execution:
    """What is to be run, where, and until when."""

    command: Sequence[str]
    folder: Path | None
    media: Path  # the media root
    seconds: float  # until the deadline
    largest: int  # bytes that any file may have
    env: Mapping[str, str] | None = None


def is_ours(command: Sequence[str]) -> bool:
    """Say whether a command is one that reads what strangers sent."""
    return Path(command[0]).name.startswith(OURS)


def reach(execution: Execution) -> Reach:
    """Return what of the machine the command needs."""
    return Reach(
        programs=(*_SYSTEM, *_own_folders(Path(execution.command[0]).resolve())),
        sources=tuple(sources(execution.command, execution.media)),
        folders=tuple(_folders(execution)),
    )


def visitors_reach(execution: Execution) -> Reach:
    """Return what a child of our own needs that speaks Python and goes to the network."""
    python = (sys.prefix, sys.base_prefix, *sys.path)
    searched = os.environ.get("PATH", "").split(os.pathsep)
    certificates = (os.environ.get(name, "") for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    own = {Path(path) for path in (*python, *searched, *certificates) if path}
    return Reach(
        programs=(*_SYSTEM, *_NETWORK, *(own - _TEMPORARY)),
        folders=tuple(_folders(execution)),
        network=True,
    )


def sources(command: Sequence[str], media: Path) -> list[Path]:
    """Return the real paths of the files a command reads: every input of ours begins ``file:``.

    A source was resolved when it was found. Only the media root itself may be reached by links.
    """
    given = command if asks(command) else [one for flag, one in pairwise(command) if flag == "-i"]
    named = [Path(part.removeprefix("file:")) for part in given if part.startswith("file:")]
    root, real = media.absolute(), media.resolve()
    paths = [path.absolute() for path in named]  # one of the work folder is allowed with it
    return [real / path.relative_to(root) if path.is_relative_to(root) else path for path in paths]


def limits(execution: Execution) -> dict[int, int]:
    """Return the limits of the system for the command: file size, processor time, open files."""
    size = sum(
        _size(path) for path in (*sources(execution.command, execution.media), *_beside(execution))
    )
    return {
        resource.RLIMIT_FSIZE: max(execution.largest, FOLD * size),
        **visitors_limits(execution),
        resource.RLIMIT_NOFILE: FILES,
        resource.RLIMIT_CORE: 0,
    }


def visitors_limits(execution: Execution) -> dict[int, int]:
    """Return the limits of a child of our own, which knows the others best: processor time.

    More than the deadline leaves on all processors is nothing that its worker would still stop.
    """
    busy = math.ceil(max(execution.seconds, 0.0)) * (os.cpu_count() or 1) + PATIENCE
    return {resource.RLIMIT_CPU: busy}


def _beside(execution: Execution) -> list[Path]:
    """Return what is read of the command's own folder: all of it, for lists name other files."""
    given = (one for flag, one in pairwise(execution.command) if flag == "-i")
    is_own = any(one.startswith("file:") and not one.startswith("file:/") for one in given)
    return list(execution.folder.iterdir()) if is_own and execution.folder is not None else []


def describe() -> str:
    """Return in words how tools are confined here."""
    version = landlock.version()
    if version:
        net = ", no network" if version >= 4 else ""
        return f"Landlock {version}: tools reach their source and their job's folder{net}"
    why = "it needs Linux 5.13 with Landlock switched on" if sys.platform == "linux" else "no Linux"
    return f"limits of the system only, without Landlock ({why})"


def _own_folders(program: Path) -> list[Path]:
    """Return where a program lies and where its libraries may be, if that is a place of its own."""
    folder = program.parent
    beside = [folder.parent / "lib", folder.parent / "lib64"]
    libraries = [Path(path) for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path]
    own = [path for path in (folder, *beside, *libraries) if path not in _TEMPORARY]
    return [program, *own]


def _folders(execution: Execution) -> list[Path]:
    """Return where a command writes: its folder, those of its outputs, and all of the job's."""
    folders = [] if execution.folder is None else [execution.folder]
    if not asks(execution.command):
        outputs = [one for flag, one in pairwise(execution.command) if flag != "-i"]
        named = [one.removeprefix("file:") for one in outputs if one.startswith("file:/")]
        folders += [Path(one).parent for one in named]
    work = execution.media / WORK
    return [_of_job(folder, work) for folder in folders]


def _of_job(folder: Path, work: Path) -> Path:
    if folder == work or not folder.is_relative_to(work):
        return folder
    return work / folder.relative_to(work).parts[0]


def asks(command: Sequence[str]) -> bool:
    """Say whether it is ffprobe, which writes nothing and names its source last."""
    return Path(command[0]).name.startswith("ffprobe")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
