"""Reading a registry behind its back."""

from contextlib import closing
from pathlib import Path
from typing import Any

from tuner.registry.engine import connect
from tuner.registry.schema import metadata

__all__ = ["all_rows", "content"]


def all_rows(connection: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as a raw connection sees it."""
    return {
        table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in sorted(metadata.tables)
    }


def content(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as another process would see it."""
    with closing(connect(path, "rw")) as connection:
        return all_rows(connection)
