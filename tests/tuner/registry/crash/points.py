"""Every place where a process can die between two things that it does to the disk, found without naming them.

A point lies before each statement that reaches SQLite (each row of many, COMMIT and ROLLBACK too), and before
each call that changes a folder or makes something durable: between one point and the next, one thing happens.
`install` puts them into this process, a child that is made to die there; nothing of the product knows of it.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tuner.registry.engine import dbapi

__all__ = ["CALLS", "KILLED", "Points", "install"]

KILLED = 137
"""The exit status of who was killed."""

CALLS = ((os, "replace"), (os, "unlink"), (os, "mkdir"), (os, "rmdir"), (os, "fsync"), (fcntl, "flock"))
"""What is done to files past SQLite; `pathlib` ends here too."""


class Points:
    """Counts the points as they are passed; at the `fatal`-th the process is gone, as by `kill -9`.

    Attributes:
        is_armed: whether points count.
    """

    def __init__(self, fatal: int, told: Path) -> None:
        self.is_armed = False
        self._fatal = fatal
        self._told = told
        self._passed: list[str] = []
        self._n_statements = 0
        self._latest = ""

    def reach(self, name: str) -> None:
        if not self.is_armed:
            return
        self._passed.append(name)
        if len(self._passed) == self._fatal:
            self.tell()
            os._exit(KILLED)

    def note_statement(self, statement: str) -> None:
        """SQLite says that it was given this to do: again for each trigger, and as a comment what it adds."""
        if self.is_armed and statement != self._latest and not statement.startswith("--"):
            self._latest = statement
            self._n_statements += 1

    def tell(self) -> None:
        """Write down what was passed, for those who live."""
        self._told.write_text(json.dumps({"passed": self._passed, "n_statements": self._n_statements}))


def install(points: Points) -> None:
    """Put points around all that this process will do; it is not meant to undo it."""
    driver = dbapi()
    connect = driver.connect
    connection_class = _connections(driver, points)

    def connect_dying(*given: Any, **named: Any) -> Any:
        connection = connect(*given, factory=connection_class, **named)
        connection.set_trace_callback(points.note_statement)
        return connection

    setattr(driver, "connect", connect_dying)  # noqa: B010 - mypy knows the module's own
    for module, name in CALLS:
        setattr(module, name, _around(getattr(module, name), name, points))


def _around(call: Callable[..., Any], name: str, points: Points) -> Callable[..., Any]:
    def dying(*given: Any, **named: Any) -> Any:
        points.reach(name)
        return call(*given, **named)

    return dying


def _connections(driver: Any, points: Points) -> type[Any]:
    """A class of connections, for this driver, that pass points."""

    class DyingCursor(driver.Cursor):  # type: ignore[misc]
        def execute(self, statement: str, *given: Any) -> Any:
            points.reach(statement)
            return super().execute(statement, *given)

        def executemany(self, statement: str, rows: Iterable[Any]) -> Any:
            def each() -> Iterator[Any]:
                for row in rows:
                    points.reach(statement)
                    yield row

            return super().executemany(statement, each())

    class DyingConnection(driver.Connection):  # type: ignore[misc]
        def cursor(self, factory: type[Any] = DyingCursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            if self.in_transaction:
                points.reach("COMMIT")
            super().commit()

        def rollback(self) -> None:
            if self.in_transaction:
                points.reach("ROLLBACK")
            super().rollback()

    return DyingConnection
