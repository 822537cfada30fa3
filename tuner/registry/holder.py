"""Who keeps others from writing to an SQLite file, as far as the kernel can say."""

import os
from pathlib import Path

__all__ = ["lock_holder", "lock_table"]

# Where SQLite sets the lock of the one that writes: the byte RESERVED of the file itself, or, in WAL mode,
# WAL_WRITE_LOCK of the shared memory beside it (os.h of SQLite, and sqlite.org/walformat.html).
_RESERVED = 0x40000001
_WAL_WRITE = 120


def lock_table() -> str:
    """The kernel's table of all file locks; empty where there is none."""
    try:
        return Path("/proc/locks").read_text("ascii", "replace")
    except OSError:
        return ""


def lock_holder(database: Path, table: str) -> str:
    """Say who writes, such as "pid 4711 (sqlite3)"; empty where nobody does, or it cannot be known."""
    for path, byte in ((database, _RESERVED), (database.with_name(f"{database.name}-shm"), _WAL_WRITE)):
        try:
            status = path.stat()
        except OSError:
            continue
        for line in table.splitlines():
            pid = _writer(line, status, byte)
            if pid is not None:
                return f"pid {pid}{_name(pid)}"
    return ""


def _writer(line: str, status: os.stat_result, byte: int) -> int | None:
    """Whose write lock on this byte of this file a line is; None for any other.

    Such as `7: POSIX  ADVISORY  WRITE 4711 08:01:1234 1073741825 1073741825`.
    """
    match line.split():
        case [_, "POSIX" | "OFDLCK", _, "WRITE", pid, file, first, last]:
            major, minor, inode = file.split(":")
            same = int(inode) == status.st_ino
            device = (int(major, 16), int(minor, 16))
            # Layered file systems show another device in their status than the kernel has in its table.
            same &= device == (os.major(status.st_dev), os.minor(status.st_dev)) or device[0] == 0
            if same and int(first) <= byte and (last == "EOF" or byte <= int(last)) and int(pid) > 0:
                return int(pid)
    return None


def _name(pid: int) -> str:
    try:
        return f" ({Path(f'/proc/{pid}/comm').read_text('utf-8', 'replace').strip()})"
    except OSError:
        return ""
