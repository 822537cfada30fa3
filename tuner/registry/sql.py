"""The one seam between the questions, which are SQL text, and whoever runs them.

The text is what SQLite and PostgreSQL both understand. A parameter stands as `?`; there is no other `?` or
`%` in it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["LAST_CHARACTER", "Read", "Row", "marks", "reading"]

Row = Mapping[str, Any]
"""One row of an answer: its values by the names of the columns."""

Read = Callable[[str, Sequence[Any]], list[Row]]
"""Runs one statement with its parameters, and returns all rows at once: nothing is held open for them."""

LAST_CHARACTER = chr(0x10FFFF)
"""Ends every prefix search: nothing sorts after it."""


def marks(values: Collection[Any]) -> str:
    """Placeholders for the members of an `IN (...)`; of none, what no row is in."""
    return ", ".join("?" * len(values)) or "NULL"


def reading(connection: "Connection") -> Read:
    """What asks questions over a connection of SQLAlchemy, inside its transaction if there is one."""
    is_qmark = connection.dialect.paramstyle == "qmark"

    def read(statement: str, parameters: Sequence[Any]) -> list[Row]:
        if not is_qmark:
            statement = statement.replace("?", "%s")
        answer = connection.exec_driver_sql(statement, tuple(parameters))
        if not answer.returns_rows:
            return []
        names = tuple(answer.keys())
        return [dict(zip(names, row, strict=True)) for row in answer]

    return read
