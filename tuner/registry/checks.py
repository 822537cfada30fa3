"""Is this file a registry that can be read? Looked at from outside first: nothing foreign is touched."""

import os
import re
import shlex
import stat
from pathlib import Path
from typing import Any

from tuner.errors import NotARegistryError, NotFoundError, OutdatedError, StorageError, UsageError
from tuner.registry.signature import APPLICATION_ID, SCHEMA_VERSION, TABLES
from tuner.registry.sqlite_file import connect
from tuner.registry.trouble import damaged

__all__ = [
    "check_header",
    "connect_for_reading",
    "examine",
    "is_missing_or_empty",
    "locate",
    "nothing_at",
    "outdated",
    "refuse_orphaned_log",
]

_MAGIC = b"SQLite format 3\0"
_CHECKED_WHOLE = 200 * 2**20
"""Files up to this size (bytes) are checked from end to end before anything is written to them."""
_SQLITE_URL = re.compile(r"sqlite(?:\+\w+)?://(?:/([^?]*))?(?:\?.*)?", re.DOTALL)


def locate(url: str | Path) -> Path:
    """The file that a URL or plain path names, made absolute, symbolic links resolved.

    Raises:
        UsageError: no SQLite URL, no file name, a folder, or a file in a folder that does not exist.
    """
    given = _file_of(url) if isinstance(url, str) else url
    try:
        path = Path(given).expanduser().resolve()
        kind = path.stat().st_mode if path.exists() else None
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"A registry is a file, but {str(given)!r} cannot be one: {reason}.", "Name a file with --db."
        ) from None
    if kind is not None and not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a device, pipe or socket"
        raise UsageError(f"A registry is a file, but {path} is {what}.", "Name a file with --db.")
    if not path.parent.is_dir():
        raise UsageError(
            f"A registry is made in a folder that exists, but there is no {path.parent}.",
            f"Make it with: mkdir -p {path.parent}",
        )
    return path


def _file_of(url: str) -> str:
    if "://" not in url:
        return url
    named = _SQLITE_URL.fullmatch(url)
    if named is None and not re.match(r"sqlite(\+\w+)?:", url):
        kind = url.split("://", 1)[0]
        raise UsageError(
            f"A registry is a path or sqlite:///PATH, but got a URL of kind {kind!r}.",
            "Use for example: --db sqlite:///experiments.db",
        )
    file = named.group(1) if named is not None else None
    if not file or file == ":memory:":
        raise UsageError(
            f"A registry is a file that several processes can open, but {url!r} names none.",
            "Use for example: --db sqlite:///experiments.db",
        )
    return file


def is_missing_or_empty(path: Path) -> bool:
    """Whether there is nothing at this path yet."""
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True


def refuse_orphaned_log(path: Path) -> None:
    """Look for the log of a database that is no longer at this path, before another is put there.

    The log of one that was moved away or removed would be read into whatever takes its place: the new one
    would be damaged, and the commits in the log would be lost to the old one.

    Raises:
        StorageError: there is such a log. It was not touched.
    """
    for log in (path.with_name(path.name + ending) for ending in ("-wal", "-journal")):
        if not is_missing_or_empty(log):
            raise StorageError(
                f"{path} is gone, but its log {log.name} is still there, with commits that only both together"
                " have. It was not touched.",
                f"Put the registry back beside it; or to give it up: rm {shlex.quote(str(log))}",
            )


def nothing_at(path: Path) -> NotFoundError:
    """The error for a registry that was not made yet."""
    return NotFoundError(
        f"There is no registry at {path}.",
        "Start one with `orchestrator --method bayesian --configs 20`, or name another with --db.",
    )


def outdated(path: Path, version: int) -> OutdatedError:
    """The error for a registry of an older schema that was opened for reading only."""
    return OutdatedError(
        f"{path} has schema {version}, and can be read once it was brought to schema {SCHEMA_VERSION}.",
        "Run `retrain --history` once, which brings it there and keeps a backup.",
    )


def check_header(path: Path) -> bool:
    """Refuse by the first bytes whatever is not ours: opening it in SQLite could already change it.

    Returns:
        Whether the file is in WAL mode.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise NotARegistryError(
            f"{path} is not a registry: it is not an SQLite database. It was not touched.",
            "Name another file with --db.",
        )
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise NotARegistryError(
            f"{path} is not a registry: it is the SQLite database of another program. It was not touched.",
            "Name another file with --db.",
        )
    _check_version(path, int.from_bytes(header[60:64], "big"))
    return header[18] == 2


def _check_version(path: Path, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise NotARegistryError(
            f"{path} has schema {version}, made by a newer version; this one knows schemas up to"
            f" {SCHEMA_VERSION}. It was not touched.",
            "Upgrade with: pip install --upgrade retrain",
        )


def connect_for_reading(path: Path, busy_timeout_s: float, *, in_wal_mode: bool) -> Any:
    """Open a raw connection that cannot write, and that leaves no file behind where it can be helped."""
    wal = path.with_name(path.name + "-wal")
    journal = path.with_name(path.name + "-journal")
    may_write = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    if in_wal_mode and not wal.exists() and not may_write:
        # Nobody is writing, and SQLite could not make the files in which readers and writers meet.
        return connect(path, "ro", busy_timeout_s=busy_timeout_s, immutable=True)
    if may_write and ((in_wal_mode and not wal.exists()) or _has_content(journal)):
        # In mode "ro" SQLite would leave an empty -wal behind, or stumble over a write cut short by a crash.
        connection = connect(path, "rw", busy_timeout_s=busy_timeout_s)
        connection.execute("PRAGMA query_only=ON")
        return connection
    return connect(path, "ro", busy_timeout_s=busy_timeout_s)


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def examine(connection: Any, path: Path, *, whole: bool) -> int:
    """Check that the content is sound, without writing; all of it (`whole`) only where the file is small.

    Returns:
        The schema version.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    _check_version(path, version)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if version == SCHEMA_VERSION and not tables >= TABLES:
        raise damaged(path, f"without its table {min(TABLES - tables)}")
    if whole and path.stat().st_size <= _CHECKED_WHOLE:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise damaged(path, verdict.replace("\n", " "))
    return version
