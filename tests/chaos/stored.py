"""What a run left in the database, read behind the registry's back."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.registry import Registry
from tuner.registry.engine import connect, dbapi
from tuner.registry.schema import APPLICATION_ID, SCHEMA_VERSION

__all__ = ["Attempt", "Row", "Stored", "read_stored"]


@dataclass(frozen=True)
class Row:
    """A row of `experiments`."""

    id: str
    number: int
    state: str
    outcome: str | None
    value: float | None
    attempt: int
    failures: int
    deaths: int
    interruptions: int
    stop: float | None = None


@dataclass(frozen=True)
class Attempt:
    """A row of `attempts`; `ending` is None while it is open."""

    id: str
    number: int
    owner: str
    ended_at: float | None
    ending: str | None


@dataclass(frozen=True)
class Stored:
    """All that the checker looks at.

    Attributes:
        steps: measurements of each experiment, step -> value.
        best: id and value of what the registry calls the best.
        best_of_views: the same as the views for people have it.
        history: best value so far, in the order of writing, as the view has it.
        faults: what the checks of SQLite and the file's own marks say; empty is good.
        left: names beside the database once everybody has closed it.
    """

    rows: tuple[Row, ...]
    attempts: tuple[Attempt, ...]
    steps: dict[str, dict[int, float]]
    best: tuple[str, float] | None
    best_of_views: tuple[str, float] | None
    history: tuple[float, ...]
    faults: tuple[str, ...]
    left: tuple[str, ...]
    engine: str
    journal_mode: str


_ROWS = """SELECT public_id, params ->> '$[0]', state, outcome, value,
    attempt, failures, deaths, interruptions, stop_value FROM experiments ORDER BY id"""
_ATTEMPTS = """SELECT e.public_id, a.number, o.token, a.ended_at, a.ending FROM attempts AS a
    JOIN experiments AS e ON e.id = a.experiment_id JOIN owners AS o ON o.id = a.owner_id
    ORDER BY a.experiment_id, a.number"""
_STEPS = """SELECT e.public_id, m.step, m.value FROM measurements AS m
    JOIN experiments AS e ON e.id = m.experiment_id"""


def read_stored(path: Path, registry: Registry) -> Stored:
    """Read everything, then close the registry."""
    [study] = registry.studies()
    best = [(one.public_id, one.value or 0.0) for one in registry.best(study)]
    with closing(connect(path, "rw")) as raw:

        def rows(query: str) -> list[tuple[Any, ...]]:
            found: list[tuple[Any, ...]] = raw.execute(query).fetchall()
            return found

        steps: dict[str, dict[int, float]] = {}
        for id_, step, value in rows(_STEPS):
            steps.setdefault(id_, {})[step] = value
        read = Stored(
            rows=tuple(Row(*row) for row in rows(_ROWS)),
            attempts=tuple(Attempt(*row) for row in rows(_ATTEMPTS)),
            steps=steps,
            best=best[0] if best else None,
            best_of_views=next(iter(rows("SELECT public_id, value FROM v_best")), None),
            history=tuple(row[0] for row in rows("SELECT best_value FROM hp_tuning_history")),
            faults=tuple(_faults(rows)),
            left=(),
            engine=dbapi().sqlite_version,
            journal_mode=rows("PRAGMA journal_mode")[0][0],
        )
    registry.close()
    left = tuple(sorted(entry.name for entry in path.parent.iterdir() if entry != path))
    return Stored(**{**vars(read), "left": left})


def _faults(rows: Any) -> list[str]:
    faults = [f"integrity_check: {row[0]}" for row in rows("PRAGMA integrity_check") if row[0] != "ok"]
    faults += [f"foreign_key_check: {row}" for row in rows("PRAGMA foreign_key_check")]
    marks = (("application_id", APPLICATION_ID), ("user_version", SCHEMA_VERSION))
    faults += [f"{name} is not {mark}" for name, mark in marks if rows(f"PRAGMA {name}")[0][0] != mark]
    return faults
