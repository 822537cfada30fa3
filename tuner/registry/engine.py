"""The SQLite engine as SQLAlchemy sees it: how a transaction runs.

Every write runs in BEGIN IMMEDIATE, so that no transaction ever has to upgrade a read lock, and fail at that.
A read is single statements without a transaction: short, and never in a writer's way.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from tuner.errors import BusyError, NotARegistryError, StorageError
from tuner.registry.sqlite_file import OpenFile, connect, dbapi, is_sound, open_here
from tuner.registry.trouble import damaged, sqlite_errors

__all__ = ["Database", "connect", "dbapi", "is_sound", "open_here"]


class Database(OpenFile):
    """Connections to one registry file, usable by several threads of one process until `close`."""

    def __init__(
        self,
        path: Path,
        open_connection: Callable[[], Any],
        *,
        in_wal_mode: bool = False,
    ) -> None:
        self._identity: tuple[int, int] | None = None
        self._size_bytes = 0

        def open_same() -> Any:
            self._check_in_place()
            connection = open_connection()
            if self._identity is None:
                self._identity, self._size_bytes = _identity(path) or (None, 0)
            return connection

        self.engine: Engine = create_engine(
            "sqlite://",
            module=dbapi(),
            creator=open_same,
            poolclass=QueuePool,
            pool_size=2,
            max_overflow=8,
        )
        event.listen(self.engine, "begin", _begin)
        self._writer = self.engine.execution_options(registry_write=True)
        super().__init__(path, in_wal_mode=in_wal_mode)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection whose statements each see the latest commit."""
        self._check_usable()
        with sqlite_errors(self.path), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One immediate transaction: committed at the end, rolled back whole by any error.

        Raises:
            NotARegistryError: the file is no longer the one that was opened. Though it be replaced during the
                write, what was written is in no file that anybody will open again.
        """
        self._check_usable()
        self._check_in_place()
        try:
            with sqlite_errors(self.path), self._writer.begin() as connection:
                yield connection
        except (BusyError, NotARegistryError):
            raise
        except StorageError:
            self._make_room()
            raise
        self._check_in_place()

    def write_beside_others(self) -> AbstractContextManager[Connection]:
        """A write that is safe beside others of its kind, since it changes only rows by their fence.

        SQLite knows one writer at a time: here it is `write`.
        """
        return self.write()

    def _make_room(self) -> None:
        """Where the disk is full, the next write need not be refused if it can begin the log anew.

        SQLite empties the log only after a commit, and by itself no log is emptied that cannot grow.
        """
        with suppress(StorageError), self.read() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def _check_in_place(self) -> None:
        """SQLite goes on writing to a file that was deleted, and nobody would ever see it."""
        if self._identity is None:
            return
        now, size_bytes = _identity(self.path) or (None, 0)
        if now == self._identity:
            if size_bytes < self._size_bytes:
                self._check_whole(size_bytes)
            self._size_bytes = size_bytes
            return
        what = "was deleted" if now is None else "was replaced by another file"
        raise NotARegistryError(
            f"{self.path} {what} while it was in use; nothing more is written to it.",
            "Put the registry back (or a backup of it) at that path, then start again.",
        )

    def _check_whole(self, size_bytes: int) -> None:
        """A file that shrank was emptied by a VACUUM, or cut off: then it is what a new connection finds.

        Those that are open go on by what they remember of it, and see nothing.
        """
        if size_bytes == 0:
            raise damaged(self.path, "it is empty")
        with sqlite_errors(self.path), closing(connect(self.path, "ro")) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise damaged(self.path, found)

    def _release(self, *, here: bool) -> None:
        self.engine.dispose(close=here)

    def _forget(self) -> list[Any]:
        pool = self.engine.pool
        self.engine.dispose(close=False)
        return [pool]


def _identity(path: Path) -> tuple[tuple[int, int], int] | None:
    """Which file lies at a path, and its size in bytes; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino), status.st_size


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("registry_write"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
