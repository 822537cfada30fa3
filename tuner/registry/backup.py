"""Copies of a registry that are whole, whoever writes to it meanwhile."""

import os
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tuner.errors import NotARegistryError, StorageError, UsageError
from tuner.registry.base import RegistryReader
from tuner.registry.checks import refuse_orphaned_log
from tuner.registry.engine import Database
from tuner.registry.opening import folder_lock, remove_database
from tuner.registry.sql import Read
from tuner.registry.sql_reader import SqlReader
from tuner.registry.sql_registry import SqlRegistry
from tuner.registry.sqlite_file import connect, dbapi, is_sound
from tuner.registry.trouble import sqlite_errors

__all__ = ["backup", "copy_database"]


def backup(registry: RegistryReader, path: str | Path) -> Path:
    """Write a copy of the registry as of now to a new file at `path`; safe while experiments run.

    Returns:
        The absolute path of the copy, itself a registry.

    Raises:
        UsageError: the file exists already, or its folder does not; or the registry is on a server.
        StorageError: it could not be written; nothing is left of it.
    """
    if not isinstance(registry, SqlReader):
        raise UsageError("Only a registry in an SQL database can be copied.", "Name another with --db.")
    if isinstance(registry, SqlRegistry) and not isinstance(registry.database, Database):
        raise UsageError(
            "A registry on a server is copied by PostgreSQL's own tool, also while experiments run.",
            f"pg_dump --format=custom --file={shlex.quote(str(path))}"
            f" {shlex.quote(str(registry.database.address))}",
        )
    target = Path(path).expanduser().absolute()
    if target.exists():
        raise UsageError(f"A backup never replaces a file, but {target} exists.", "Name another file.")
    if not target.parent.is_dir():
        raise UsageError(f"A backup is written into a folder that exists, but there is no {target.parent}.")
    refuse_orphaned_log(target)
    with folder_lock(target.parent), registry.reading() as read:
        copy_database(read, target)
    return target


def copy_database(read: Read, target: Path) -> None:
    """Copy the latest commit of what is read to `target`, which appears whole or not at all.

    The caller holds the lock of the folder: what a killed process left there half written is taken away.
    """
    fresh = target.with_name(f".{target.name}.new")
    try:
        remove_database(fresh)
        with _allowed_to_copy(read), _errors_of(target):
            read("VACUUM INTO ?", [str(fresh)])
        if is_sound(dbapi().sqlite_version_info):
            with sqlite_errors(target), closing(connect(fresh, "rw")) as copied:
                copied.execute("PRAGMA journal_mode=WAL")
        _sync(fresh)
        fresh.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise StorageError(
            f"{target} could not be written: {error.strerror}.", "Name another file."
        ) from error
    finally:
        with suppress(OSError):  # a disk that is read-only has said so already
            remove_database(fresh)


@contextmanager
def _errors_of(target: Path) -> Iterator[None]:
    """What goes wrong is a matter of the copy, damage apart: that is in what is copied."""
    try:
        with sqlite_errors(target):
            yield
    except NotARegistryError as error:
        raise (error.__cause__ or error) from None


@contextmanager
def _allowed_to_copy(read: Read) -> Iterator[None]:
    """Lift `query_only` for a while: it also forbids VACUUM INTO, which writes nothing to its source."""
    [before] = read("PRAGMA query_only", [])
    read("PRAGMA query_only=OFF", [])
    try:
        yield
    finally:
        read(f"PRAGMA query_only={before['query_only']}", [])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
