"""From a URL to a database that is ours, whole and up to date. Anything else gets one sentence, untouched."""

import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tuner.errors import BusyError, NotARegistryError, NotFoundError, StorageError, UsageError
from tuner.registry.engine import Database, connect, dbapi, is_sound, open_here
from tuner.registry.rules import create_schema
from tuner.registry.schema import APPLICATION_ID, SCHEMA_VERSION, metadata
from tuner.registry.trouble import damaged, sqlite_errors

__all__ = ["folder_lock", "locate", "open_database"]

_MAGIC = b"SQLite format 3\0"
_CHECKED_WHOLE = 200 * 2**20
"""Files up to this size (bytes) are checked from end to end before anything is written to them."""

_opening = threading.Lock()


def open_database(url: str | Path, *, create: bool, read_only: bool, busy_timeout_s: float) -> Database:
    """Open the registry at `url`; see `open_registry` for what it raises."""
    path = locate(url)
    with _opening:
        if _is_missing_or_empty(path):
            if read_only or not create:
                raise NotFoundError(
                    f"There is no registry at {path}.",
                    "Start one with `orchestrator --method random --configs 20`, or name another with --db.",
                )
            _create(path)
        # POSIX drops every lock of a process on a file as soon as it closes any descriptor of that file. So
        # once SQLite has it open in this process, nothing else here may open it, not even to read its header.
        held = open_here(path)
        in_wal_mode = _check_header(path) if held is None else held.in_wal_mode
        if not read_only:
            _check_writable(path)
        with sqlite_errors(path):
            version = _examine(path, busy_timeout_s, in_wal_mode=in_wal_mode, whole=not read_only)
            if version < SCHEMA_VERSION:
                _bring_up_to_date(path, version, read_only=read_only)
            if not read_only and in_wal_mode and not is_sound(dbapi().sqlite_version_info):
                _leave_wal(path, busy_timeout_s)
                in_wal_mode = False

        def open_connection() -> Any:
            if read_only:
                return _connect_for_reading(path, busy_timeout_s, in_wal_mode=in_wal_mode)
            return connect(path, "rw", busy_timeout_s=busy_timeout_s)

        return Database(path, open_connection, read_only=read_only, in_wal_mode=in_wal_mode)


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
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the second for a port that is no number
        parsed = None
    if parsed is None or parsed.get_backend_name() != "sqlite":
        kind = url.split("://", 1)[0]
        raise UsageError(
            f"A registry is a path or sqlite:///PATH, but got a URL of kind {kind!r}.",
            "Use for example: --db sqlite:///experiments.db",
        )
    if not parsed.database or parsed.database == ":memory:":
        raise UsageError(
            f"A registry is a file that several processes can open, but {url!r} names none.",
            "Use for example: --db sqlite:///experiments.db",
        )
    return parsed.database


def _is_missing_or_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time create or migrate in a folder. Leaves no file, and no lock after a death."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _create(path: Path) -> None:
    """Write a new registry beside `path` and move it there whole, so that nobody ever sees half of one."""
    _check_writable(path)
    with folder_lock(path.parent):
        if not _is_missing_or_empty(path):
            return  # another process was first
        fresh = path.with_name(f".{path.name}.new")
        _remove(fresh)  # left by a process that was killed here
        try:
            with closing(Database(fresh, lambda: connect(fresh, "rwc"))) as database:
                with database.write() as connection:
                    create_schema(connection)
                if is_sound(dbapi().sqlite_version_info):
                    with database.read() as connection:
                        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            fresh.replace(path)
            folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        finally:
            _remove(fresh)


def _remove(database: Path) -> None:
    for ending in ("", "-journal", "-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)


def _check_header(path: Path) -> bool:
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


def _check_writable(path: Path) -> None:
    blocked = next(
        (place for place in (path, path.parent) if place.exists() and not os.access(place, os.W_OK)), None
    )
    if blocked is not None:
        raise StorageError(
            f"{path} cannot be written: {blocked} is read-only.",
            "Make it writable, or use another registry with --db. Reports work without.",
        )


def _connect_for_reading(path: Path, busy_timeout_s: float, *, in_wal_mode: bool) -> Any:
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


def _examine(path: Path, busy_timeout_s: float, *, in_wal_mode: bool, whole: bool) -> int:
    """Check that the content is sound, without writing. Returns the schema version."""
    with closing(_connect_for_reading(path, busy_timeout_s, in_wal_mode=in_wal_mode)) as connection:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        _check_version(path, version)
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }
        if version == SCHEMA_VERSION and not metadata.tables.keys() <= tables:
            missing = sorted(metadata.tables.keys() - tables)
            raise damaged(path, f"without its table {missing[0]}")
        if whole and path.stat().st_size <= _CHECKED_WHOLE:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise damaged(path, verdict.replace("\n", " "))
    return version


def _bring_up_to_date(path: Path, version: int, *, read_only: bool) -> None:
    if read_only:
        raise StorageError(
            f"{path} has schema {version}, and can be read once it was brought to schema {SCHEMA_VERSION}.",
            "Run `retrain --history` once, which opens it for writing and keeps a backup.",
        )
    from tuner.registry.migrate import migrate  # alembic is slow to import and seldom needed

    migrate(path)


def _leave_wal(path: Path, busy_timeout_s: float) -> None:
    """Take a registry out of WAL mode, in which an SQLite with the WAL-reset bug could damage it."""
    with closing(connect(path, "rw", busy_timeout_s=busy_timeout_s)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=DELETE")
        except dbapi().OperationalError as error:
            raise BusyError(
                f"{path} is in use in WAL mode, which SQLite {dbapi().sqlite_version} cannot join safely"
                " (a defect fixed in 3.51.3).",
                "Install a sound engine with `pip install pysqlite3`, or wait until the others are done.",
            ) from error
