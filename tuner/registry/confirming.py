"""Writing what confirmations scored, and who looked at the holdout. Functions of an open connection."""

import json
from dataclasses import replace

from sqlalchemy import Connection, and_, insert, select, update

from tuner.experiment import Confirmation, Provenance
from tuner.registry import codec
from tuner.registry.base import HoldoutRead
from tuner.registry.queries import get_experiment
from tuner.registry.schema import confirmations, holdout_reads, provenances
from tuner.registry.sql import reading

__all__ = ["add_confirmation", "add_holdout_read"]


def add_confirmation(connection: Connection, given: Confirmation, now: float) -> Confirmation:
    """See `Registry.add_confirmation`. Other writers must be locked out."""
    experiment = get_experiment(reading(connection), given.experiment)
    provenance_id = _provenance_id(connection, experiment.study_id, given.provenance)
    stored = connection.execute(
        select(confirmations.c.value, confirmations.c.folds, confirmations.c.duration_s).where(
            confirmations.c.experiment_id == experiment.id,
            confirmations.c.provenance_id == provenance_id,
            confirmations.c.seed == given.seed,
        )
    ).one_or_none()
    named = replace(given, experiment=experiment.public_id)
    if stored is not None:
        folds = tuple(json.loads(stored.folds))
        return replace(named, value=stored.value, folds=folds, duration_s=stored.duration_s)
    connection.execute(
        insert(confirmations).values(
            experiment_id=experiment.id,
            provenance_id=provenance_id,
            seed=given.seed,
            value=given.value,
            folds=codec.dump(list(given.folds)),
            duration_s=given.duration_s,
            at=now,
        )
    )
    return named


def _provenance_id(connection: Connection, study_id: int, given: Provenance) -> int:
    """The row id of a provenance. A new one gets no turn: only results of experiments are the latest."""
    of_study = {"study_id": study_id, "data": given.data, "code": given.code, "metric": given.metric}
    stored: int | None = connection.execute(
        select(provenances.c.id).where(*(provenances.c[name] == value for name, value in of_study.items()))
    ).scalar_one_or_none()
    if stored is not None:
        only_failed = and_(provenances.c.id == stored, provenances.c.turn < 0)
        connection.execute(update(provenances).where(only_failed).values(turn=0))
        return stored
    written = insert(provenances).values(**of_study, turn=0).returning(provenances.c.id)
    return int(connection.execute(written).scalar_one())


def add_holdout_read(connection: Connection, given: HoldoutRead, now: float) -> HoldoutRead:
    """See `Registry.add_holdout_read`."""
    experiment = None if given.experiment is None else get_experiment(reading(connection), given.experiment)
    stored = replace(
        given,
        params=codec.plain_params(given.params),
        metrics={name: codec.finite(name, value) for name, value in given.metrics.items()},
        intervals={
            name: (codec.finite(name, low), codec.finite(name, high))
            for name, (low, high) in given.intervals.items()
        },
        why=codec.clean_text(given.why),
        who=codec.clean_text(given.who),
        experiment=None if experiment is None else experiment.public_id,
        at=now,
    )
    connection.execute(
        insert(holdout_reads).values(
            pipeline=stored.pipeline,
            experiment_id=None if experiment is None else experiment.id,
            version=stored.version,
            params=codec.dump(stored.params),
            metrics=codec.dump(stored.metrics),
            intervals=codec.dump(stored.intervals),
            n_rows=stored.n_rows,
            data=stored.provenance.data,
            code=stored.provenance.code,
            metric=stored.provenance.metric,
            why=stored.why,
            who=stored.who,
            at=now,
        )
    )
    return stored
