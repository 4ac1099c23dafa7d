"""The lock that keeps a second coordinator off a ledger, and off file systems that cannot lock.

``flock`` goes with the process, however it ends; the file stays and names the last holder.
"""

import errno
import fcntl
import os
from pathlib import Path

from supervisor.ledger.errors import LedgerError

MOUNTS = Path("/proc/self/mountinfo")
# On these a lock may be granted twice, and SQLite's shared memory is not shared.
OVER_THE_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smbfs", "smb2", "smb3", "ncpfs", "afs", "coda", "ceph", "lustre"}
    | {"9p", "gfs2", "gpfs", "ocfs2", "orangefs", "beegfs", "beegfs_nodev", "pvfs2"}
    | {"fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "fuse.s3fs", "fuse.ceph", "fuse.ceph-fuse"}
    | {"fuse.juicefs", "fuse.gcsfuse", "fuse.blobfuse2", "fuse.mount-s3", "fuse.davfs", "davfs"}
)


class Lock:
    """A lock that is held from ``take`` to ``release``."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle: int | None = handle

    @classmethod
    def take(cls, path: Path) -> "Lock":
        """Take the lock on a file, made if need be.

        Raises:
            LedgerError: somebody else holds it (with the pid), or this place cannot be locked.
        """
        refuse_network(path)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise LedgerError(_no_file(path, error)) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = _refused(path, handle, error)
            os.close(handle)
            raise LedgerError(message) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return cls(path, handle)

    def release(self) -> None:
        """Let go; may be called twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def is_held(path: Path) -> bool:
    """Answer whether somebody holds the lock on a file."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def refuse_network(path: Path, key: str = "ledger:") -> None:
    """Raise LedgerError if ``path``, which ``key`` configures, lies on a network file system."""
    try:
        mounts = MOUNTS.read_text(errors="replace")
    except OSError:
        return  # not Linux: flock itself will tell
    kind = file_system(path.resolve(), mounts)
    if kind in OVER_THE_NETWORK:
        message = (
            f"{path}: lies on a network file system ({kind}), where locks cannot be trusted; "
            f"name a folder on a local disk in {key}"
        )
        raise LedgerError(message)


def file_system(path: Path, mounts: str) -> str:
    """Return the kind of file system ``path`` lies on, by the text of ``mountinfo``, or ""."""
    kind, best = "", -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 5 or not kinds:
            continue
        point = Path(fields[4].replace("\\040", " "))
        # Of two mounts at one place the later one covers the earlier.
        if path.is_relative_to(point) and len(point.parts) >= best:
            kind, best = kinds[0], len(point.parts)
    return kind


def _refused(path: Path, handle: int, error: OSError) -> str:
    if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
        return f"{path}: cannot be locked ({error.strerror}); put the ledger on a local disk"
    pid = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
    return (
        f"{path}: another supervisor (pid {pid}) already runs on this ledger; "
        "stop it, or give this one a ledger of its own"
    )


def _no_file(path: Path, error: OSError) -> str:
    return f"{path}: cannot be written ({error.strerror}); check the folder and its permissions"
