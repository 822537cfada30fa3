"""Writing suggestions as WAITING rows, many at a time. Functions of an open connection."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, func, insert, select

from tuner.errors import UsageError
from tuner.experiment import Experiment, State, Study, Suggestion
from tuner.registry import codec
from tuner.registry.base import Run
from tuner.registry.queries import starts_with
from tuner.registry.schema import experiments, shapes

__all__ = ["add"]

_BATCH = 500
"""How many values stand in one IN (...)."""


def add(
    connection: Connection,
    study: Study,
    suggestions: Sequence[Suggestion],
    *,
    run: Run | None,
    repeat: bool,
    now: float,
) -> list[Experiment]:
    """See `Registry.add`. The transaction is immediate: what is read here stays true until it is written."""
    hashed = [
        (codec.config_hash(params), params, suggestion)
        for suggestion in suggestions
        for params in (codec.plain_params(suggestion.params),)
    ]
    numbers = _next_repeats(connection, study, {key for key, _, _ in hashed})
    numbering = _Numbering(connection, now)
    shape_ids = _shapes(connection, {tuple(params) for _, params, _ in hashed})
    parents = _parents(connection, {s.parent for s in suggestions if s.parent is not None})
    next_id = (connection.execute(select(func.max(experiments.c.id))).scalar() or 0) + 1

    rows: list[dict[str, Any]] = []
    written: list[Experiment] = []
    for key, params, suggestion in hashed:
        number = numbers.get(key, 0)
        if number and not repeat:
            continue
        numbers[key] = number + 1
        experiment = Experiment(
            id=next_id + len(rows),
            public_id=numbering.next(suggestion.method),
            study_id=study.id,
            params=params,
            method=suggestion.method,
            state=State.WAITING,
            attempt=0,
            created_at=now,
            reason=dict(suggestion.reason),
            parent=suggestion.parent,
            run_id=None if run is None else run.id,
            seed=study.seed,
            repeat=number,
        )
        rows.append(_row(experiment, key, shape_ids[tuple(params)], parents))
        written.append(experiment)
    if rows:
        connection.execute(insert(experiments), rows)
    return written


def _row(experiment: Experiment, key: bytes, shape_id: int, parents: dict[str, int]) -> dict[str, Any]:
    return {
        "id": experiment.id,
        "public_id": experiment.public_id,
        "study_id": experiment.study_id,
        "run_id": experiment.run_id,
        "parent_id": None if experiment.parent is None else parents[experiment.parent],
        "method": experiment.method,
        "shape_id": shape_id,
        "params": codec.dump(list(experiment.params.values())),
        "config_hash": key,
        "repeat": experiment.repeat,
        "seed": experiment.seed,
        "reason": codec.dump(experiment.reason) if experiment.reason else None,
        "created_at": experiment.created_at,
    }


def _batches(values: Iterable[Any]) -> Iterable[list[Any]]:
    iterator = iter(values)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _next_repeats(connection: Connection, study: Study, keys: set[bytes]) -> dict[bytes, int]:
    """For each configuration that the study has: the number that its next row would get."""
    found: dict[bytes, int] = {}
    for batch in _batches(keys):
        rows = connection.execute(
            select(experiments.c.config_hash, func.max(experiments.c.repeat))
            .where(experiments.c.study_id == study.id, experiments.c.config_hash.in_(batch))
            .group_by(experiments.c.config_hash)
        )
        found.update((key, highest + 1) for key, highest in rows)
    return found


def _shapes(connection: Connection, wanted: set[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """The ids of these tuples of names, written where they are new."""
    found: dict[tuple[str, ...], int] = {}
    for names in wanted:
        text = codec.dump(names)
        stored = connection.execute(select(shapes.c.id).where(shapes.c.names == text)).scalar()
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
            column = experiments.c.public_id
            self._used[prefix] = self._connection.execute(
                select(func.count()).where(starts_with(column, prefix))
            ).scalar_one()
        self._used[prefix] += 1
        return f"{prefix}{self._used[prefix]:03d}"
