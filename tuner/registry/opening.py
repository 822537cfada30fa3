"""From a URL to a database that is ours, whole and up to date. Anything else gets one sentence, untouched."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tuner.errors import BusyError, NotARegistryError, StorageError
from tuner.registry.checks import (
    check_header,
    connect_for_reading,
    examine,
    is_missing_or_empty,
    locate,
    nothing_at,
    refuse_orphaned_log,
)
from tuner.registry.engine import Database
from tuner.registry.mounts import file_system, is_network, mount_table
from tuner.registry.rules import TRIGGERS, create_schema
from tuner.registry.signature import SCHEMA_VERSION
from tuner.registry.sqlite_file import connect, dbapi, is_sound, open_here, opening
from tuner.registry.trouble import sqlite_errors

__all__ = ["folder_lock", "open_database", "remove_database"]


_log = logging.getLogger(__name__)


def open_database(
    url: str | Path, *, create: bool, busy_timeout_s: float, allow_network_fs: bool = False
) -> Database:
    """Open the registry at `url` for reading and writing; see `open_registry` for what it raises."""
    path = locate(url)
    wal_is_safe = _check_local(path, allow_network_fs) and is_sound(dbapi().sqlite_version_info)
    with opening:
        if is_missing_or_empty(path):
            if not create:
                raise nothing_at(path)
            _create(path, with_wal=wal_is_safe)
        # POSIX drops every lock of a process on a file as soon as it closes any descriptor of that file. So
        # once SQLite has it open in this process, nothing else here may open it, not even to read its header.
        held = open_here(path)
        in_wal_mode = check_header(path) if held is None else held.in_wal_mode
        _check_writable(path)
        with sqlite_errors(path):
            with closing(connect_for_reading(path, busy_timeout_s, in_wal_mode=in_wal_mode)) as connection:
                version = examine(connection, path, whole=True)
                if version == SCHEMA_VERSION:
                    _refuse_foreign_triggers(connection, path)
            if version < SCHEMA_VERSION:
                from tuner.registry.migrate import migrate  # alembic is slow to import and seldom needed

                migrate(path)
            if in_wal_mode and not wal_is_safe:
                _leave_wal(path, busy_timeout_s)
                in_wal_mode = False
        return Database(
            path, lambda: connect(path, "rw", busy_timeout_s=busy_timeout_s), in_wal_mode=in_wal_mode
        )


def _refuse_foreign_triggers(connection: Any, path: Path) -> None:
    """Tables and views of a user's own are welcome, but a trigger would run with what we write.

    Raises:
        NotARegistryError: there is one; names it.
    """
    ours = {trigger.split()[2] for trigger in TRIGGERS}
    rows = connection.execute("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
    for name, table in rows:
        if name not in ours:
            raise NotARegistryError(
                f"{path} has a trigger {name!r} on {table!r} that is none of ours. It was not touched.",
                f"""If you trust the file: sqlite3 {path} 'DROP TRIGGER "{name}"'""",
            )


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time create or migrate in a folder. Leaves no file, and no lock after a death."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _create(path: Path, *, with_wal: bool) -> None:
    """Write a new registry beside `path` and move it there whole, so that nobody ever sees half of one."""
    _check_writable(path)
    with folder_lock(path.parent):
        if not is_missing_or_empty(path):
            return  # another process was first
        refuse_orphaned_log(path)
        fresh = path.with_name(f".{path.name}.new")
        remove_database(fresh)  # left by a process that was killed here
        try:
            with closing(Database(fresh, lambda: connect(fresh, "rwc"))) as database:
                with database.write() as connection:
                    create_schema(connection)
                if with_wal:
                    with database.read() as connection:
                        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            fresh.replace(path)
            folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        finally:
            remove_database(fresh)


def remove_database(database: Path) -> None:
    """Remove a file that nobody has open, and what SQLite keeps beside it."""
    for ending in ("", "-journal", "-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)


def _check_writable(path: Path) -> None:
    blocked = next(
        (place for place in (path, path.parent) if place.exists() and not os.access(place, os.W_OK)), None
    )
    if blocked is not None:
        raise StorageError(
            f"{path} cannot be written: {blocked} is read-only.",
            "Make it writable, or use another registry with --db. Reports work without.",
        )


def _check_local(path: Path, allow_network_fs: bool) -> bool:
    """Whether a registry is on this machine. Elsewhere it is refused, or used without what fails there."""
    kind = file_system(path.parent, mount_table())
    if not is_network(kind):
        return True
    if not allow_network_fs:
        raise StorageError(
            f"{path} is on a network file system ({kind}), whose locks a registry cannot trust.",
            "Keep it on a local disk with --db PATH or use PostgreSQL; or take the risk of one host at a time"
            " with --allow-network-fs.",
        )
    _log.warning("%s is on a network file system (%s): use it from one host at a time", path, kind)
    return False


def _leave_wal(path: Path, busy_timeout_s: float) -> None:
    """Take a registry out of WAL mode, which a network file system or an old SQLite could not keep whole."""
    with closing(connect(path, "rw", busy_timeout_s=busy_timeout_s)) as connection:
        try:
            mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
        except dbapi().OperationalError as error:
            raise BusyError(
                f"{path} is in use in WAL mode, which SQLite {dbapi().sqlite_version} cannot join safely here"
                " (a defect fixed in 3.51.3, or a network file system).",
                "Install a sound engine with `pip install pysqlite3`, or wait until the others are done.",
            ) from error
        if mode != "delete":
            raise StorageError(f"{path} stays in journal mode {mode}, in which it is not safe here.")
