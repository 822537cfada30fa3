"""Many rows at once, past SQLAlchemy's work on each row, which takes longer than SQLite's own."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert

__all__ = ["insert_rows"]


def insert_rows(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows whose values stand in the order of `columns`, and are as the driver takes them."""
    if connection.dialect.name == "postgresql":
        cursor: Any = connection.connection.cursor()
        with cursor, cursor.copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    compiled = insert(table).compile(dialect=connection.dialect, column_keys=list(columns))
    order = [columns.index(name) for name in compiled.positiontup or ()]
    in_order = order == list(range(len(columns)))
    given: Any = rows if in_order else [tuple(row[place] for place in order) for row in rows]
    connection.exec_driver_sql(compiled.string, given)
