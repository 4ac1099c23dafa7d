"""Room on the disk of the media folder: asked for before work begins, and watched meanwhile."""

import shutil
from pathlib import Path

from workers.media.amounts import amount
from workers.media.faults import fault

RESERVE = 20_000_000  # bytes that no tool may take, for the sake of what else lives on the disk
SHARE = 0.01  # of a small disk, at the most


def require(folder: Path, needed: int, what: str) -> None:
    """Return when there is room for so many bytes.

    Raises:
        RefusedError: ``does_not_fit``: not even on the empty disk.
        HostError: ``disk_full``.
        OSError: the folder cannot be looked at.
    """
    disk = shutil.disk_usage(folder)
    if needed <= disk.free:
        return
    says = f"{what} needs about {amount(needed)}, the disk of {folder} has"
    if needed > disk.total:
        raise fault("does_not_fit", f"{says} {amount(disk.total)} in all")
    raise fault("disk_full", f"{says} {amount(disk.free)} free")


def require_reserve(folder: Path, tool: str) -> None:
    """Return while a tool that is running leaves some room to others.

    Raises:
        HostError: ``disk_full``.
        OSError: the folder cannot be looked at.
    """
    disk = shutil.disk_usage(folder)
    if disk.free < min(RESERVE, disk.total * SHARE):
        says = f"{tool} was stopped: the disk of {folder} has only {amount(disk.free)} left"
        raise fault("disk_full", says)
