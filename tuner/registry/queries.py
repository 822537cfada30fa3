"""Reading experiments. Functions of an open connection."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    select,
)

from tuner.errors import NotFoundError
from tuner.experiment import Direction, Experiment, Measurement, Params, Provenance, State, Study
from tuner.registry import codec
from tuner.registry.base import Attempt, Effort, Run
from tuner.registry.schema import (
    attempts,
    efforts,
    experiments,
    measurements,
    owners,
    provenances,
    scored,
    shapes,
)
from tuner.registry.schema import counts as kept

__all__ = [
    "EXPERIMENTS",
    "LAST_CHARACTER",
    "attempts_of",
    "best",
    "by_ids",
    "counts",
    "effort",
    "find_scored",
    "get_experiment",
    "list_experiments",
    "measurements_of",
    "provenances_of",
    "starts_with",
]

_parents = experiments.alias("parents")

EXPERIMENTS: Select[Any] = (
    select(
        experiments,
        shapes.c.names,
        owners.c.token,
        _parents.c.public_id.label("parent"),
        provenances.c.data.label("on_data"),
        provenances.c.code.label("on_code"),
        provenances.c.metric.label("on_metric"),
    )
    .join(shapes, shapes.c.id == experiments.c.shape_id)
    .outerjoin(owners, owners.c.id == experiments.c.owner_id)
    .outerjoin(_parents, _parents.c.id == experiments.c.parent_id)
    .outerjoin(provenances, provenances.c.id == experiments.c.provenance_id)
)

LAST_CHARACTER = chr(0x10FFFF)
"""Ends every prefix search: nothing sorts after it."""


def starts_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """A prefix search that uses the column's index and knows no wildcards."""
    return column.between(prefix, prefix + LAST_CHARACTER)


# Built once, since it is asked at each claim and end.
_BY_IDS = EXPERIMENTS.where(experiments.c.id.in_(bindparam("ids", expanding=True))).order_by(experiments.c.id)


def _read(
    connection: Connection, query: Select[Any], parameters: Mapping[str, Any] | None = None
) -> list[Experiment]:
    return [codec.read(codec.to_experiment, row) for row in connection.execute(query, parameters).all()]


def by_ids(connection: Connection, ids: Sequence[int]) -> list[Experiment]:
    """The experiments with these ids, in the order of writing."""
    return _read(connection, _BY_IDS, {"ids": ids})


def get_experiment(connection: Connection, prefix: str) -> Experiment:
    """See `Registry.get_experiment`."""
    prefix = codec.clean_text(prefix)
    exact = _read(connection, EXPERIMENTS.where(experiments.c.public_id == prefix))
    if exact:
        return exact[0]
    public_id = experiments.c.public_id
    found = (
        connection.execute(
            select(public_id).where(starts_with(public_id, prefix)).order_by(public_id).limit(6)
        )
        .scalars()
        .all()
    )
    if prefix and len(found) == 1:
        return _read(connection, EXPERIMENTS.where(public_id == found[0]))[0]
    if prefix and found:
        some = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise NotFoundError(
            f"An experiment is named by its id or a prefix of it that no other has, but several start with"
            f" {prefix!r}: {some}.",
            "Give more characters of the one you mean.",
        )
    latest = (
        connection.execute(select(public_id).order_by(experiments.c.id.desc()).limit(500)).scalars().all()
    )
    close = get_close_matches(prefix, latest, n=1, cutoff=0.6)
    raise NotFoundError(
        f"There is no experiment {prefix!r}." + (f" Did you mean {close[0]!r}?" if close else ""),
        "List them with: orchestrator ls",
    )


def list_experiments(
    connection: Connection,
    study: Study | None,
    *,
    states: Collection[State] | None,
    run: Run | None,
    limit: int | None,
    newest_first: bool,
) -> list[Experiment]:
    """See `Registry.experiments`."""
    query = EXPERIMENTS
    if states is not None:
        query = query.where(experiments.c.state.in_([state.value for state in states]))
    if states is not None and State.COMPLETE not in states:
        query = query.where(experiments.c.value.is_(None))  # for the index
        if study is not None:
            query = query.where(experiments.c.study_id == study.id)
    elif study is not None or run is not None:
        query = query.where(*_where_they_lie(study, run))
    if run is not None:
        query = query.where(experiments.c.run_id == run.id)
    order = experiments.c.id.desc() if newest_first else experiments.c.id
    return _read(connection, query.order_by(order).limit(limit))


def _where_they_lie(study: Study | None, run: Run | None) -> list[ColumnElement[bool]]:
    """The rows of a study, or of a run, by the range of ids in which all of them lie."""
    study_id = study.id if study is not None else run.study_id if run is not None else None
    of = kept.c.study_id == study_id
    if run is not None:
        of = and_(of, kept.c.run_id == run.id)
    first, last = (
        select(end).where(of).scalar_subquery()
        for end in (func.min(kept.c.first_id), func.max(kept.c.last_id))
    )
    # The plus keeps SQLite from the index of configurations, whose order is no order.
    return [experiments.c.id.between(first, last), literal_column("+experiments.study_id") == study_id]


def counts(connection: Connection, study: Study, run: Run | None) -> dict[State, int]:
    """See `Registry.counts`."""
    query = select(*(func.sum(kept.c[state.value]) for state in State)).where(kept.c.study_id == study.id)
    if run is not None:
        query = query.where(kept.c.run_id == run.id)
    found = connection.execute(query).one()
    return {state: n or 0 for state, n in zip(State, found, strict=True)}


def provenances_of(connection: Connection, study: Study) -> list[tuple[Provenance, int]]:
    """See `Registry.provenances`."""
    rows = connection.execute(
        select(provenances, func.coalesce(scored.c.n_complete, 0).label("n"))
        .outerjoin(scored, scored.c.provenance_id == provenances.c.id)
        .where(provenances.c.study_id == study.id)
        .order_by(provenances.c.turn.desc())
    )
    return [(Provenance(row.data, row.code, row.metric), row.n) for row in rows]


def best(connection: Connection, study: Study, n: int, provenance: Provenance | None) -> list[Experiment]:
    """See `Registry.best`."""
    wanted = _provenance_id(study, provenance)
    value = experiments.c.value
    order = value.desc() if study.direction is Direction.MAXIMIZE else value
    return _read(
        connection,
        EXPERIMENTS.where(
            experiments.c.study_id == study.id,
            experiments.c.provenance_id == wanted,
            value.is_not(None),
        )
        .order_by(order, experiments.c.id)
        .limit(n),
    )


def _provenance_id(study: Study, provenance: Provenance | None) -> ScalarSelect[int]:
    """The row id of a provenance; of the latest, where it is None."""
    wanted = select(provenances.c.id).where(provenances.c.study_id == study.id)
    if provenance is None:
        return wanted.order_by(provenances.c.turn.desc()).limit(1).scalar_subquery()
    return wanted.where(
        provenances.c.data == provenance.data,
        provenances.c.code == provenance.code,
        provenances.c.metric == provenance.metric,
    ).scalar_subquery()


def find_scored(
    connection: Connection,
    study: Study,
    provenance: Provenance,
    *,
    params: Params | None,
    method: str | None,
) -> Experiment | None:
    """See `Registry.find_scored`."""
    # A plus keeps SQLite from an index: left to itself it would walk through the whole study, as if in luck.
    query = EXPERIMENTS.where(
        literal_column("+experiments.provenance_id") == _provenance_id(study, provenance),
        experiments.c.value.is_not(None),
    )
    if params is not None:
        _, key = codec.encode_params(codec.plain_params(params))
        query = query.where(experiments.c.study_id == study.id, experiments.c.config_hash == key)
    if method is not None:  # each public id starts with it, and has an index
        of_method = starts_with(experiments.c.public_id, f"{method}_")
        query = query.where(of_method, experiments.c.method == method)
    found = _read(connection, query.order_by(literal_column("+experiments.id").desc()).limit(1))
    return found[0] if found else None


def effort(connection: Connection, study: Study) -> Effort:
    """See `Registry.effort`."""
    row = connection.execute(select(efforts).where(efforts.c.study_id == study.id)).one()
    return Effort(row.experiments_s, row.wall_s)


def measurements_of(connection: Connection, experiment: Experiment) -> list[Measurement]:
    """See `Registry.measurements`."""
    rows = connection.execute(
        select(measurements)
        .where(measurements.c.experiment_id == experiment.id)
        .order_by(measurements.c.metric, measurements.c.step)
    )
    return [codec.read(codec.to_measurement, row) for row in rows]


def attempts_of(connection: Connection, experiment: Experiment) -> list[Attempt]:
    """See `Registry.attempts`."""
    rows = connection.execute(
        select(attempts, owners.c.token)
        .join(owners, owners.c.id == attempts.c.owner_id)
        .where(attempts.c.experiment_id == experiment.id)
        .order_by(attempts.c.number)
    )
    return [codec.read(codec.to_attempt, row) for row in rows]
