"""Where a ledger may lie, and who holds it."""

import os
from pathlib import Path

import pytest

from supervisor.cli.checks import Level, about_folders
from supervisor.config.settings import Settings
from supervisor.ledger import lock
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.lock import Lock, file_system

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /srv rw,relatime - nfs4 server:/srv rw,vers=4.2
31 22 0:27 / /home/ann/far\040away rw - fuse.sshfs ann@far: rw
32 30 254:1 / /srv/local rw - xfs /dev/vdb rw
33 22 0:28 / /mnt rw - ext4 /dev/vdc rw
34 22 0:29 / /mnt rw - cifs //nas/share rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/ledger.db", "ext4"),
        ("/srv/ledger.db", "nfs4"),
        ("/srv/local/ledger.db", "xfs"),
        ("/srvant/ledger.db", "ext4"),
        ("/home/ann/far away/ledger.db", "fuse.sshfs"),
        ("/mnt/ledger.db", "cifs"),
    ],
)
def test_the_deepest_and_latest_mount_tells_the_file_system(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_without_mounts_nothing_is_known() -> None:
    assert file_system(Path("/var"), "") == ""


def test_a_network_file_system_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"30 22 0:26 / {tmp_path} rw - nfs4 server:/srv rw\n")
    monkeypatch.setattr(lock, "MOUNTS", mounts)

    with pytest.raises(LedgerError, match=r"network file system \(nfs4\).*local disk in ledger:"):
        Lock.take(tmp_path / "ledger.db.lock")
    with pytest.raises(LedgerError, match=r"lies on a network .* local disk in state:"):
        lock.refuse_network(tmp_path / "state", "state:")


def test_a_lock_names_its_holder_and_can_be_taken_again_after_its_release(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db.lock"
    first = Lock.take(path)
    with pytest.raises(LedgerError, match=rf"another supervisor \(pid {os.getpid()}\)"):
        Lock.take(path)

    first.release()
    first.release()

    Lock.take(path).release()
    assert path.read_text() == f"{os.getpid()}\n"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="check the folder"):
        Lock.take(tmp_path / "missing" / "ledger.db.lock")


def test_the_doctor_says_where_the_supervisor_would_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"30 22 0:26 / {tmp_path}/far rw - cifs //nas/share rw\n")
    monkeypatch.setattr(lock, "MOUNTS", mounts)
    settings = Settings(
        "embedded",
        state=tmp_path / "state",
        ledger=f"sqlite:///{tmp_path}/far/ledger.db",
        media=tmp_path / "far",
        workers={},
    )

    failures = [each for each in about_folders(settings) if each.level is Level.FAIL]

    assert [(each.what, each.remedy) for each in failures] == [
        ("ledger", "name a folder on a local disk in ledger:")
    ]
