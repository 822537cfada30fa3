"""From claim to end: every write is fenced by (owner, attempt). Functions of an open connection."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Update,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from tuner.errors import ClaimLostError, UsageError
from tuner.experiment import (
    Evaluation,
    Experiment,
    Failure,
    Measurement,
    Outcome,
    Provenance,
    State,
    Study,
)
from tuner.registry import codec, queries
from tuner.registry.base import Claim, Limits, Recovered
from tuner.registry.owners import Owner, read_owners
from tuner.registry.schema import attempts, experiments, measurements, owners, provenances

__all__ = ["claim", "complete", "fail", "measure", "recover", "release"]


def claim(connection: Connection, study: Study, n: int, owner: tuple[int, str], now: float) -> list[Claim]:
    """See `Registry.claim`. `owner`: row id and token of who claims."""
    oldest = (
        select(experiments.c.id)
        .where(
            experiments.c.study_id == study.id,
            experiments.c.state == State.WAITING.value,
            experiments.c.value.is_(None),  # for the index
        )
        .order_by(experiments.c.id)
        .limit(n)
    )
    taken = connection.execute(
        update(experiments)
        .where(experiments.c.id.in_(oldest))
        .values(
            state=State.RUNNING.value,
            attempt=experiments.c.attempt + 1,
            owner_id=owner[0],
            started_at=now,
        )
        .returning(experiments.c.id, experiments.c.attempt)
    ).all()
    if not taken:
        return []
    connection.execute(
        insert(attempts),
        [
            {"experiment_id": row.id, "number": row.attempt, "owner_id": owner[0], "started_at": now}
            for row in taken
        ],
    )
    again = [row.id for row in taken if row.attempt > 1]
    if again:  # what the lost attempt had reported is not part of this one
        connection.execute(delete(measurements).where(measurements.c.experiment_id.in_(again)))
    return [
        Claim(experiment, owner[1]) for experiment in queries.by_ids(connection, [row.id for row in taken])
    ]


def measure(connection: Connection, held: Claim, given: Sequence[Measurement]) -> None:
    """See `Registry.measure`."""
    _check_held(connection, held)
    _store_measurements(connection, held, given)


def complete(
    connection: Connection, held: Claim, evaluation: Evaluation, provenance: Provenance, now: float
) -> Experiment:
    """See `Registry.complete`."""
    _check_held(connection, held)  # before a provenance is written for it
    values = {
        "state": State.COMPLETE.value,
        "value": codec.finite("`value` of an Evaluation", evaluation.value),
        "std_error": None if evaluation.std_error is None else _std_error(evaluation.std_error),
        "metrics": _metrics(evaluation),
        "provenance_id": _provenance(connection, held.experiment.study_id, provenance),
        "error": None,
        "traceback": None,
        "finished_at": now,
        "duration_s": evaluation.duration_s,
    }
    _end(connection, held, values, ending="complete", message=None, now=now)
    _store_measurements(connection, held, evaluation.measurements)
    return queries.by_ids(connection, [held.experiment.id])[0]


def fail(connection: Connection, held: Claim, failure: Failure, limits: Limits, now: float) -> Experiment:
    """See `Registry.fail`."""
    failures, deaths = held.experiment.failures, held.experiment.deaths
    if failure.outcome.is_worker_death:
        deaths += 1
    elif failure.outcome is not Outcome.CANCELLED:
        failures += 1
    for_good = failure.outcome is Outcome.CANCELLED or failures >= limits.failures or deaths >= limits.deaths
    message = codec.clean_text(failure.message)
    values: dict[str, Any] = {
        "state": State.WAITING.value,
        "failures": failures,
        "deaths": deaths,
        "error": message,
        "traceback": codec.clean_text(failure.traceback) or None,
    }
    if for_good:
        values |= {
            "state": State.FAILED.value,
            "outcome": failure.outcome.value,
            "finished_at": now,
            "duration_s": failure.duration_s,
        }
    _end(connection, held, values, ending="failed", message=message, now=now)
    # What a broken experiment reported may be broken too; recording the failure comes first.
    _store_measurements(connection, held, filter(_is_storable, failure.measurements))
    return queries.by_ids(connection, [held.experiment.id])[0]


def release(connection: Connection, held: Iterable[Claim], now: float) -> int:
    """See `Registry.release`."""
    n = 0
    for one in held:
        values = {"state": State.WAITING.value, "interruptions": experiments.c.interruptions + 1}
        if connection.execute(_fenced_update(one, values)).rowcount:
            _close_attempt(connection, one, "released", None, now)
            n += 1
    return n


def recover(connection: Connection, is_dead: Callable[[Owner], bool], now: float) -> list[Recovered]:
    """See `Registry.recover`."""
    holding = select(experiments.c.owner_id).where(experiments.c.owner_id.is_not(None))
    dead = {owner.id: owner for owner in read_owners(connection, owners.c.id.in_(holding)) if is_dead(owner)}
    left = connection.execute(
        select(experiments.c.id, experiments.c.public_id, experiments.c.owner_id)
        .where(experiments.c.owner_id.in_(dead))
        .order_by(experiments.c.id)
    ).all()
    if not left:
        return []
    connection.execute(
        update(experiments)
        .where(experiments.c.owner_id.in_(dead))
        .values(state=State.WAITING.value, owner_id=None, interruptions=experiments.c.interruptions + 1)
    )
    connection.execute(
        update(attempts)
        .where(attempts.c.owner_id.in_(dead), attempts.c.ended_at.is_(None))
        .values(ended_at=now, ending="lost", message="its owner died")
    )
    return [
        Recovered(row.public_id, dead[row.owner_id].token, max(0.0, now - dead[row.owner_id].heartbeat_at))
        for row in left
    ]


def _fence(held: Claim) -> ColumnElement[bool]:
    """True for the claimed row as long as this claim is the present one."""
    owner = select(owners.c.id).where(owners.c.token == held.owner).scalar_subquery()
    return and_(
        experiments.c.id == held.experiment.id,
        experiments.c.state == State.RUNNING.value,
        experiments.c.attempt == held.attempt,
        experiments.c.owner_id == owner,
    )


def _check_held(connection: Connection, held: Claim) -> None:
    if connection.execute(select(experiments.c.id).where(_fence(held)).with_for_update()).first() is None:
        raise _lost(connection, held)


def _fenced_update(held: Claim, values: dict[str, Any]) -> Update:
    return update(experiments).where(_fence(held)).values(owner_id=None, **values)


def _end(
    connection: Connection,
    held: Claim,
    values: dict[str, Any],
    *,
    ending: str,
    message: str | None,
    now: float,
) -> None:
    if not connection.execute(_fenced_update(held, values)).rowcount:
        raise _lost(connection, held)
    _close_attempt(connection, held, ending, message, now)


def _close_attempt(connection: Connection, held: Claim, ending: str, message: str | None, now: float) -> None:
    connection.execute(
        update(attempts)
        .where(attempts.c.experiment_id == held.experiment.id, attempts.c.number == held.attempt)
        .values(ended_at=now, ending=ending, message=message)
    )


def _lost(connection: Connection, held: Claim) -> ClaimLostError:
    row = connection.execute(
        select(experiments.c.state, experiments.c.attempt).where(experiments.c.id == held.experiment.id)
    ).one_or_none()
    if row is None:
        became = "is not in this registry"
    elif row.attempt > held.attempt:
        became = f"is superseded by {row.attempt}"
    elif State(row.state).finished:
        became = f"has already ended ({row.state})"
    else:
        became = "was taken back, and waits to run again"
    return ClaimLostError(
        f"{held.experiment.public_id}: attempt {held.attempt} {became}.", "Drop its result."
    )


def _std_error(given: float) -> float:
    number = codec.finite("`std_error` of an Evaluation", given)
    if number < 0:
        raise UsageError(f"`std_error >= 0` must hold for an Evaluation, but got {given!r}.")
    return number


def _metrics(evaluation: Evaluation) -> str | None:
    finite = {name: codec.finite(f"metric {name!r}", value) for name, value in evaluation.metrics.items()}
    return codec.dump(finite) if finite else None


def _is_storable(measurement: Measurement) -> bool:
    try:
        codec.finite(measurement.metric, measurement.value)
    except UsageError:
        return False
    return measurement.step >= 0


def _store_measurements(connection: Connection, held: Claim, given: Iterable[Measurement]) -> None:
    rows = [
        {
            "experiment_id": held.experiment.id,
            "metric": one.metric,
            "step": _step(one),
            "value": codec.finite(f"metric {one.metric!r} at step {one.step}", one.value),
        }
        for one in given
    ]
    if not rows:
        return
    statement = upsert(measurements)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["experiment_id", "metric", "step"], set_={"value": statement.excluded.value}
        ),
        rows,
    )


def _step(measurement: Measurement) -> int:
    if measurement.step < 0:
        raise UsageError(f"`step >= 0` must hold for a Measurement, but got {measurement.step}.")
    return int(measurement.step)


def _provenance(connection: Connection, study_id: int, given: Provenance) -> int:
    """The row id of a provenance, written where it is new, and now the latest of its study."""
    of_study = provenances.c.study_id == study_id
    newest = connection.execute(select(func.max(provenances.c.turn)).where(of_study)).scalar() or 0
    stored = connection.execute(
        select(provenances.c.id, provenances.c.turn).where(
            of_study,
            provenances.c.data == given.data,
            provenances.c.code == given.code,
            provenances.c.metric == given.metric,
        )
    ).one_or_none()
    if stored is None:
        values = {"data": given.data, "code": given.code, "metric": given.metric, "turn": newest + 1}
        id_: int = connection.execute(
            insert(provenances).values(study_id=study_id, **values).returning(provenances.c.id)
        ).scalar_one()
        return id_
    if stored.turn < newest:
        connection.execute(update(provenances).where(provenances.c.id == stored.id).values(turn=newest + 1))
    return int(stored.id)
