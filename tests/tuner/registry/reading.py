"""Reading a registry behind its back."""

from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from tuner.registry import Registry
from tuner.registry.engine import Database, connect
from tuner.registry.invariants import check_invariants
from tuner.registry.schema import metadata
from tuner.registry.sql_registry import SqlRegistry

__all__ = ["all_rows", "broken", "content", "database_of", "writing"]


def all_rows(connection: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as a raw connection sees it."""
    return {
        table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in sorted(metadata.tables)
    }


def content(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as another process would see it."""
    with closing(connect(path, "rw")) as connection:
        return all_rows(connection)


def broken(path: Path) -> dict[str, tuple[str, ...]]:
    """The invariants I1 to I12 and I14 that do not hold in a file, with examples. Empty is good."""
    with closing(connect(path, "rw")) as raw:

        def ask(statement: str) -> list[tuple[Any, ...]]:
            rows: list[tuple[Any, ...]] = raw.execute(statement).fetchall()
            return rows

        return {one.id: one.examples for one in check_invariants(ask) if one.n_broken}


def database_of(registry: Registry) -> Database:
    """What lies under a registry on SQLite."""
    assert isinstance(registry, SqlRegistry)
    assert isinstance(registry.database, Database)
    return registry.database


def writing(registry: Registry) -> AbstractContextManager[Connection]:
    """A write transaction of this registry."""
    return database_of(registry).write()
