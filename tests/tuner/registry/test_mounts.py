"""B15: which file system a registry is on, and what that means for it."""

from pathlib import Path

import pytest

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
