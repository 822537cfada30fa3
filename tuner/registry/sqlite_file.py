"""One SQLite file: which engine opens it, with what settings, and who in this process has it open."""

import os
import threading
import weakref
from abc import abstractmethod
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from tuner.errors import StorageError
from tuner.registry.opened import Opened

__all__ = ["OpenFile", "connect", "dbapi", "is_sound", "open_here", "opening"]

opening = threading.Lock()
"""Held from the look at what this process has open until one more file is."""

_OLDEST = (3, 38, 0)  # STRICT tables, RETURNING and the arrow operator of the views
_FIXED = (3, 51, 3)
_BACKPORTS = ((3, 44, 6), (3, 50, 7))

_PRAGMAS = (
    "foreign_keys=ON",
    "recursive_triggers=ON",  # else REPLACE would delete from the append-only tables unseen
    "cell_size_check=ON",  # notices a damaged page early
    "synchronous=FULL",
    # By default every hundredth claim or so would pay for a checkpoint. At 16 MB few do, and none waits long.
    "wal_autocheckpoint=4000",
    "journal_size_limit=33554432",  # what one huge write leaves behind is given back
)


def dbapi() -> ModuleType:
    """The SQLite driver: the `pysqlite3` wheel with its own fixed engine where installed, else Python's."""
    try:
        import pysqlite3.dbapi2
    except ImportError:
        import sqlite3

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


class OpenFile(Opened):
    """A registry file that this process has open. `in_wal_mode` says how the file was found at opening."""

    def __init__(self, path: Path, *, in_wal_mode: bool = False) -> None:
        super().__init__(path)
        self.path = path
        self.in_wal_mode = in_wal_mode
        _open_files.add(self)

    @abstractmethod
    def _forget(self) -> list[Any]:
        """Called in a forked child: let go of the parent's connections. Returns what must stay in memory."""


def open_here(path: Path) -> OpenFile | None:
    """What this process holds this file open with already, or None."""
    return next((one for one in list(_open_files) if one.path == path and one.is_open), None)


_open_files: "weakref.WeakSet[OpenFile]" = weakref.WeakSet()
_inherited: list[Any] = []


def _forget_connections_in_child() -> None:
    """A forked child must neither use nor close its parent's connections, so it keeps them and looks away."""
    for one in _open_files:
        _inherited.extend(one._forget())


os.register_at_fork(after_in_child=_forget_connections_in_child)
