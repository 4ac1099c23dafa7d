"""Whether the kernel killed for want of memory: what our own control group counts.

The kernel counts every process of a group that it kills for memory, whether the group was over
its limit or the whole machine ran out. A group killed as a whole counts each of its processes.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

OURS = Path("/proc/self/cgroup")
MOUNTED = Path("/sys/fs/cgroup")
_COUNT = "oom_kill"


def counters(membership: str, mounted: Path) -> Iterator[Path]:
    """Yield the files that may count our group's kills, by what ``/proc/self/cgroup`` says.

    A container may see its own group at the root of the tree while its membership names the path
    outside; so the root is looked at too.
    """
    for line in membership.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            tree, name = mounted / "memory", "memory.oom_control"
        elif number == "0" and not controllers:
            tree, name = mounted, "memory.events"
        else:
            continue
        yield tree / path.lstrip("/") / name
        yield tree / name


def kills(counted: str) -> int | None:
    """Return how many kills a counter file tells of; None if it does not count them."""
    for line in counted.splitlines():
        name, _, number = line.partition(" ")
        if name == _COUNT and number.strip().isdigit():
            return int(number)
    return None


class KernelKills:
    """Tells a kill by the kernel from one by anybody else, as far as our group can be read.

    Other processes of the group are killed too, an ffmpeg for instance: so only what was counted
    since the last look but one is taken for the death that is asked about, and only once.
    """

    def __init__(self, membership: Path = OURS, mounted: Path = MOUNTED) -> None:
        self._files = _counters_of(membership, mounted)
        self._before = self._last = self.read()

    def read(self) -> int | None:
        """Return how many kills the kernel counts; None if it does not say. Reads a file."""
        for file in self._files:
            with contextlib.suppress(OSError):
                return kills(file.read_text())
        return None

    def look(self, counted: int | None) -> None:
        """Take note of the count, every few seconds."""
        self._before, self._last = self._last, counted

    def was_one(self, counted: int | None) -> bool | None:
        """Answer whether a death by SIGKILL was the kernel's doing; None: nobody can tell."""
        if counted is None or self._before is None:
            return None
        if counted <= self._before:
            return False
        self._before += 1
        self._last = max(self._last or 0, self._before)
        return True


def _counters_of(membership: Path, mounted: Path) -> Sequence[Path]:
    try:
        return tuple(counters(membership.read_text(), mounted))
    except OSError:
        return ()  # not Linux, or a closed container
