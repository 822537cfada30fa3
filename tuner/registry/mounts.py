"""Which file system a registry is on, and whether its locks can be trusted."""

import re
from pathlib import Path

__all__ = ["file_system", "is_network", "mount_table"]

_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs"}
    | {"panfs", "smb3", "smbfs", "virtiofs", "vboxsf", "vmhgfs"}
)


def is_network(kind: str) -> bool:
    """Whether files of this file system may be on another machine, where locks and shared memory fail.

    Anything in user space (FUSE) counts, since it may; `fuseblk` is a local disk.
    """
    return kind in _NETWORK or kind == "fuse" or kind.startswith("fuse.")


def mount_table() -> str:
    """The kernel's table of what is mounted where, as this process sees it; empty where there is none."""
    try:
        return Path("/proc/self/mountinfo").read_text("utf-8", "replace")
    except OSError:
        return ""


def file_system(folder: Path, table: str) -> str:
    """The type of the file system a folder is on, such as "ext4"; empty where the table does not say.

    The longest mount point above the folder decides, and of two at the same place the later one.
    """
    best, kind = "", ""
    for line in table.splitlines():
        fields = line.split()
        if "-" not in fields[6:]:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), fields[4])
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, fields[fields.index("-", 6) + 1]
    return kind
