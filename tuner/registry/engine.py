"""The SQLite engine: which one is used, how a connection is set up, and how a transaction runs.

Every write runs in BEGIN IMMEDIATE, so that no transaction ever has to upgrade a read lock, and fail at that.
A read is single statements without a transaction: short, and never in a writer's way.
"""

import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from tuner.errors import StorageError
from tuner.registry.trouble import sqlite_errors

__all__ = ["Database", "connect", "dbapi", "is_sound", "open_here"]

_OLDEST = (3, 38, 0)  # STRICT tables, RETURNING and the arrow operator of the views
_FIXED = (3, 51, 3)
_BACKPORTS = ((3, 44, 6), (3, 50, 7))

_PRAGMAS = (
    "foreign_keys=ON",
    "recursive_triggers=ON",  # else REPLACE would delete from the append-only tables unseen
    "cell_size_check=ON",  # notices a damaged page early
    "synchronous=FULL",
)


def dbapi() -> ModuleType:
    """The SQLite driver: the `pysqlite3` wheel with its own fixed engine where installed, else Python's."""
    try:
        import pysqlite3.dbapi2
    except ImportError:
        return sqlite3
    module: ModuleType = pysqlite3.dbapi2
    return module


def is_sound(version: tuple[int, ...]) -> bool:
    """Whether this SQLite is free of the WAL-reset bug (sqlite.org/wal.html#walresetbug)."""
    return version >= _FIXED or any(version[:2] == fix[:2] and version >= fix for fix in _BACKPORTS)


def connect(path: Path, mode: str, *, busy_timeout_s: float = 30.0, immutable: bool = False) -> Any:
    """Open one raw connection in SQLite's `mode` ("ro", "rw", "rwc") with the settings all of ours share."""
    driver = dbapi()
    if driver.sqlite_version_info < _OLDEST:
        raise StorageError(
            f"The registry needs SQLite 3.38 or newer, but this Python has {driver.sqlite_version}.",
            "Install a newer one with: pip install pysqlite3",
        )
    uri = f"file:{quote(str(path))}?mode={mode}" + ("&immutable=1" if immutable else "")
    connection = driver.connect(
        uri, uri=True, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if is_sound(driver.sqlite_version_info):
            # A hostile file must not run code by its schema. Old engines take our JSON checks for such.
            connection.execute("PRAGMA trusted_schema=OFF")
    except BaseException:
        connection.close()
        raise
    return connection


class Database:
    """Connections to one registry file, usable by several threads of one process until `close`.

    `in_wal_mode` says how the file was found at opening.
    """

    def __init__(
        self,
        path: Path,
        open_connection: Callable[[], Any],
        *,
        read_only: bool = False,
        in_wal_mode: bool = False,
    ) -> None:
        self.path = path
        self.read_only = read_only
        self.in_wal_mode = in_wal_mode
        self._pid = os.getpid()
        self._closed = False
        self.engine: Engine = create_engine(
            "sqlite://",
            module=dbapi(),
            creator=open_connection,
            poolclass=QueuePool,
            pool_size=2,
            max_overflow=8,
        )
        event.listen(self.engine, "begin", _begin)
        self._writer = self.engine.execution_options(registry_write=True)
        _databases.add(self)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection whose statements each see the latest commit."""
        self._check_usable()
        with sqlite_errors(self.path), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One immediate transaction: committed at the end, rolled back whole by any error."""
        self._check_usable()
        if self.read_only:
            raise StorageError(
                f"{self.path} was opened for reading only, and nothing can be written through it.",
                "Open it without read_only=True.",
            )
        with sqlite_errors(self.path), self._writer.begin() as connection:
            yield connection

    def write_beside_others(self) -> AbstractContextManager[Connection]:
        """A write that is safe beside others of its kind, since it changes only rows by their fence.

        SQLite knows one writer at a time: here it is `write`.
        """
        return self.write()

    @property
    def is_open(self) -> bool:
        """Whether this process can use it."""
        return not self._closed and self._pid == os.getpid()

    def close(self) -> None:
        """Close all connections. Idempotent. In a forked child it only forgets them."""
        if not self._closed:
            self._closed = True
            self.engine.dispose(close=os.getpid() == self._pid)

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise StorageError(
                f"The registry {self.path} was opened by process {self._pid}, and cannot be used in its"
                f" forked child {os.getpid()}.",
                "Open the registry again in the child.",
            )
        if self._closed:
            raise StorageError(f"The registry {self.path} is closed.", "Open it again.")


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("registry_write"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def open_here(path: Path) -> Database | None:
    """A database of this file that this process holds open already, or None."""
    return next((one for one in list(_databases) if one.path == path and one.is_open), None)


_databases: "weakref.WeakSet[Database]" = weakref.WeakSet()
_inherited: list[Any] = []


def _forget_connections_in_child() -> None:
    """A forked child must neither use nor close its parent's connections, so it keeps them and looks away."""
    for database in _databases:
        _inherited.append(database.engine.pool)
        database.engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections_in_child)
