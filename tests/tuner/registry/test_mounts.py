"""B15: which file system a registry is on, and what that means for it."""

import logging
from contextlib import closing
from pathlib import Path

import pytest

from tests.contracts.registry_cases import SPEC, some
from tuner.errors import StorageError
from tuner.registry import open_registry, opening
from tuner.registry.engine import connect
from tuner.registry.mounts import file_system, is_network, mount_table

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /data rw - nfs4 server:/data rw
31 30 8:2 / /data/local rw,noatime master:1 shared:3 - xfs /dev/sdb1 rw
32 22 0:30 / /my\040disk rw - btrfs /dev/sdc rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me", "ext4"),
        ("/data/x", "nfs4"),
        ("/data/local/x", "xfs"),
        ("/my disk/x", "btrfs"),
        ("/database", "ext4"),
    ],
)
def test_the_longest_mount_point_decides(folder: str, kind: str) -> None:
    assert file_system(Path(folder), MOUNTS) == kind


def test_a_kernel_that_does_not_say() -> None:
    assert file_system(Path("/"), "") == ""


def test_the_table_of_this_machine_is_read() -> None:
    assert file_system(Path("/proc"), mount_table()) == "proc"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.s3fs", "ceph"])
def test_what_may_be_on_another_machine(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuseblk", ""])
def test_what_is_here(kind: str) -> None:
    assert not is_network(kind)


# ---- what that means for a registry


@pytest.fixture
def on_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "mount_table", lambda: "22 1 0:25 / / rw - nfs4 server:/ rw")


def journal_mode(path: Path) -> str:
    with closing(connect(path, "rw")) as raw:
        return str(raw.execute("PRAGMA journal_mode").fetchone()[0])


def test_a_registry_on_a_network_file_system_is_refused(path: Path, on_nfs: None) -> None:
    with pytest.raises(StorageError, match=r"network file system \(nfs4\)") as caught:
        open_registry(path, create=True)
    assert "--allow-network-fs" in caught.value.remedy
    assert not path.exists()


def test_it_can_be_read_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_registry(path, create=True).close()
    monkeypatch.setattr(opening, "mount_table", lambda: "22 1 0:25 / / rw - nfs4 server:/ rw")
    with open_registry(path, create=False, read_only=True) as registry:
        assert registry.studies() == []
    with pytest.raises(StorageError, match="network"):
        open_registry(path, create=False)


def test_at_the_users_own_risk_it_works_without_wal_and_with_a_warning(
    path: Path, on_nfs: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with open_registry(path, create=True, allow_network_fs=True) as registry:
        study = registry.open_study(SPEC)
        registry.add(study, some(3))
        assert len(registry.claim(study, 3)) == 3
    assert journal_mode(path) == "delete"
    assert "use it from one host at a time" in caplog.text


def test_a_registry_that_was_local_leaves_wal_mode_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_registry(path, create=True).close()
    assert journal_mode(path) == "wal"
    monkeypatch.setattr(opening, "mount_table", lambda: "22 1 0:25 / / rw - fuse.sshfs server:/ rw")
    open_registry(path, create=False, allow_network_fs=True).close()
    assert journal_mode(path) == "delete"
