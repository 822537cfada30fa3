# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""Reading a registry file straight through the SQLite driver: what only looks answers at once."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tuner.registry.checks import (
    check_header,
    connect_for_reading,
    examine,
    is_missing_or_empty,
    locate,
    nothing_at,
    outdated,
)
from tuner.registry.signature import SCHEMA_VERSION
from tuner.registry.sql import Read, Row
from tuner.registry.sql_reader import SqlReader
from tuner.registry.sqlite_file import OpenFile, open_here, opening
from tuner.registry.trouble import sqlite_errors

__all__ = ["SqliteReader", "open_reader"]


def open_reader(url: str | Path, *, busy_timeout_s: float) -> "SqliteReader":
    """Open the registry at `url` for reading only; see `open_registry` for what it raises."""
    path = locate(url)
    with opening, ExitStack() as undo:
        if is_missing_or_empty(path):
            raise nothing_at(path)
        # Not while this process has the file open: closing it after the look would drop its locks on it.
        held = open_here(path)
        in_wal_mode = check_header(path) if held is None else held.in_wal_mode
        with sqlite_errors(path):
            connection = connect_for_reading(path, busy_timeout_s, in_wal_mode=in_wal_mode)
            undo.callback(connection.close)
            version = examine(connection, path, whole=False)
            if version < SCHEMA_VERSION:
                raise outdated(path, version)
        undo.pop_all()
        return SqliteReader(path, connection, in_wal_mode=in_wal_mode)


class SqliteReader(OpenFile, SqlReader):
    """Safe under several threads. Each question is one statement, so that no snapshot outlives an answer."""

    def __init__(self, path: Path, connection: Any, *, in_wal_mode: bool = False) -> None:
        super().__init__(path, in_wal_mode=in_wal_mode)
        self._connection = connection
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Read]:
        self._check_usable()
        with sqlite_errors(self.path):
            yield self._read

    def _read(self, statement: str, parameters: Sequence[Any]) -> list[Row]:
        with self._one_at_a_time:
            cursor = self._connection.execute(statement, tuple(parameters))
            if cursor.description is None:
                return []
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _release(self, *, here: bool) -> None:
        if here:
            self._connection.close()

    def _forget(self) -> list[Any]:
        return [self._connection]
