"""Writing suggestions as WAITING rows, many at a time. Functions of an open connection."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select

from tuner.errors import UsageError
from tuner.experiment import Experiment, State, Study, Suggestion, Value
from tuner.registry import codec
from tuner.registry.base import Run
from tuner.registry.bulk import insert_rows
from tuner.registry.schema import experiments, shapes
from tuner.registry.sql import LAST_CHARACTER, marks, reading

__all__ = ["Candidate", "add", "nothing_collected", "prepare"]

_COLUMNS = (
    "id",
    "public_id",
    "study_id",
    "run_id",
    "parent_id",
    "method",
    "shape_id",
    "params",
    "config_hash",
    "repeat",
    "seed",
    "reason",
    "created_at",
)
_LAST_ID = select(func.max(experiments.c.id))
_HIGHEST_REPEATS = """SELECT config_hash, max(repeat) AS highest FROM experiments
    WHERE study_id = ? AND config_hash IN ({}) GROUP BY config_hash"""
_ALL_REPEATS = """SELECT config_hash, max(repeat) AS highest FROM experiments
    WHERE study_id = ? GROUP BY config_hash"""
_N_ROWS = """SELECT coalesce(sum(waiting + running + complete + pruned + failed), 0) AS n
    FROM counts WHERE study_id = ?"""
_FIND_SHAPE = select(shapes.c.id).where(shapes.c.names == bindparam("as_names"))
_N_NUMBERED = select(func.count()).where(
    experiments.c.public_id.between(bindparam("first"), bindparam("last"))
)

_BATCH = 500
"""How many values stand in one IN (...)."""


class Candidate(NamedTuple):
    """A suggestion as it is stored: `values` is a JSON array, `key` the hash of its content (16 bytes)."""

    params: dict[str, Value]
    names: tuple[str, ...]
    values: str
    key: bytes
    method: str
    reason: dict[str, Any]
    parent: str | None


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Keep the garbage collector from looking time and again through many rows that all live on."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


def prepare(suggestions: Iterable[Suggestion]) -> list[Candidate]:
    """Do ahead of the transaction what needs no database, so that others wait for less.

    Raises:
        UsageError: a parameter is not a finite number, string, bool or None.
    """
    return [
        Candidate(
            params,
            tuple(params),
            *codec.encode_params(params),
            one.method,
            dict(one.reason) if one.reason else {},
            one.parent,
        )
        for one in suggestions
        for params in (codec.plain_params(one.params),)
    ]


def add(
    connection: Connection,
    study: Study,
    candidates: Sequence[Candidate],
    *,
    run: Run | None,
    repeat: bool,
    now: float,
) -> list[Experiment]:
    """See `Registry.add`. The transaction is immediate: what is read here stays true until it is written."""
    numbers = _next_repeats(connection, study, {one.key for one in candidates})
    numbering = _Numbering(connection, now)
    shape_ids = _shapes(connection, {one.names for one in candidates})
    parents = _parents(connection, {one.parent for one in candidates if one.parent is not None})
    next_id = (connection.execute(_LAST_ID).scalar() or 0) + 1
    run_id = None if run is None else run.id

    rows: list[tuple[Any, ...]] = []
    written: list[Experiment] = []
    for one in candidates:
        number = numbers.get(one.key, 0)
        if number and not repeat:
            continue
        numbers[one.key] = number + 1
        id_, public_id = next_id + len(rows), numbering.next(one.method)
        rows.append(
            (  # as in _COLUMNS
                id_,
                public_id,
                study.id,
                run_id,
                None if one.parent is None else parents[one.parent],
                one.method,
                shape_ids[one.names],
                one.values,
                one.key,
                number,
                study.seed,
                codec.dump(one.reason) if one.reason else None,
                now,
            )
        )
        written.append(
            Experiment(
                id=id_,
                public_id=public_id,
                study_id=study.id,
                params=one.params,
                method=one.method,
                state=State.WAITING,
                attempt=0,
                created_at=now,
                reason=one.reason,
                parent=one.parent,
                run_id=run_id,
                seed=study.seed,
                repeat=number,
            )
        )
    if rows:
        insert_rows(connection, experiments, _COLUMNS, rows)
    return written


def _batches(values: Iterable[Any]) -> Iterable[list[Any]]:
    iterator = iter(values)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _next_repeats(connection: Connection, study: Study, keys: set[bytes]) -> dict[bytes, int]:
    """For each configuration that the study has: the number that its next row would get."""
    read = reading(connection)
    found: dict[bytes, int] = {}
    if len(keys) > _BATCH and read(_N_ROWS, [study.id])[0]["n"] < len(keys):
        # More than the study has: one look at what it has is quicker than one for each.
        return {row["config_hash"]: row["highest"] + 1 for row in read(_ALL_REPEATS, [study.id])}
    for batch in _batches(keys):
        rows = read(_HIGHEST_REPEATS.format(marks(batch)), [study.id, *batch])
        found.update((row["config_hash"], row["highest"] + 1) for row in rows)
    return found


def _shapes(connection: Connection, wanted: set[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """The ids of these tuples of names, written where they are new."""
    found: dict[tuple[str, ...], int] = {}
    for names in wanted:
        text = codec.dump(names)
        stored = connection.execute(_FIND_SHAPE, {"as_names": text}).scalar()
        found[names] = (
            stored
            if stored is not None
            else connection.execute(insert(shapes).values(names=text).returning(shapes.c.id)).scalar_one()
        )
    return found


def _parents(connection: Connection, wanted: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for batch in _batches(wanted):
        rows = connection.execute(
            select(experiments.c.public_id, experiments.c.id).where(experiments.c.public_id.in_(batch))
        )
        found.update((public_id, id_) for public_id, id_ in rows)
    missing = sorted(wanted - found.keys())
    if missing:
        raise UsageError(
            f"The parent of a suggestion must be an experiment here, but {missing[0]!r} is none."
        )
    return found


class _Numbering:
    """Hands out public ids of one moment: `<method>_<YYYYMMDD>_<HHMMSS>_<NNN>`, in UTC, counted from 001."""

    def __init__(self, connection: Connection, now: float) -> None:
        self._connection = connection
        self._stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d_%H%M%S")
        self._used: dict[str, int] = {}

    def next(self, method: str) -> str:
        prefix = f"{method}_{self._stamp}_"
        if prefix not in self._used:
            # Rows are never deleted, so the number of rows is the highest number in use.
            named = {"first": prefix, "last": prefix + LAST_CHARACTER}
            self._used[prefix] = self._connection.execute(_N_NUMBERED, named).scalar_one()
        self._used[prefix] += 1
        return f"{prefix}{self._used[prefix]:03d}"
