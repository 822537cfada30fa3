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

__all__ = ["all_rows", "broken", "content", "database_of", "miscounted", "objects", "writing"]


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


# What is counted as it changes, and the same counted anew.
_COUNTED = (
    (
        """SELECT study_id, run_id, first_id, last_id, waiting, running, complete, pruned, failed
        FROM counts ORDER BY 1, 2""",
        """SELECT study_id, ifnull(run_id, 0), min(id), max(id), sum(state = 'waiting'),
        sum(state = 'running'), sum(state = 'complete'), sum(state = 'pruned'), sum(state = 'failed')
        FROM experiments GROUP BY 1, 2 ORDER BY 1, 2""",
    ),
    (
        "SELECT provenance_id, n_complete FROM scored ORDER BY 1",
        """SELECT provenance_id, count(*) FROM experiments WHERE state = 'complete' GROUP BY 1 ORDER BY 1""",
    ),
    (
        "SELECT study_id, round(experiments_s, 6), ended_at > 0 FROM efforts ORDER BY 1",
        """SELECT s.id, round(total(e.duration_s), 6), count(e.id) > 0 FROM studies AS s
        LEFT JOIN experiments AS e ON e.study_id = s.id AND e.finished_at IS NOT NULL
        GROUP BY 1 ORDER BY 1""",
    ),
)


def miscounted(raw: Any) -> list[tuple[Any, Any]]:
    """What triggers have counted beside what is there, where the two differ."""
    pairs = [[raw.execute(query).fetchall() for query in queries] for queries in _COUNTED]
    return [(kept, counted) for kept, counted in pairs if kept != counted]


def database_of(registry: Registry) -> Database:
    """What lies under a registry on SQLite."""
    assert isinstance(registry, SqlRegistry)
    assert isinstance(registry.database, Database)
    return registry.database


def objects(path: Path) -> dict[str, str]:
    """Every table, index, trigger and view by name, its statement with single spaces."""
    with closing(connect(path, "ro")) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {name: " ".join(sql.split()).replace("( ", "(").replace(" )", ")") for name, sql in found}


def writing(registry: Registry) -> AbstractContextManager[Connection]:
    """A write transaction of this registry."""
    return database_of(registry).write()
