"""From claim to end: every write is fenced by (owner, attempt). Functions of an open connection."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from tuner.errors import ClaimLostError, UsageError
from tuner.experiment import (
    GUESS,
    Evaluation,
    Experiment,
    Failure,
    Measurement,
    Outcome,
    Partial,
    Provenance,
    State,
    Study,
)
from tuner.goals import Goals
from tuner.registry import codec, queries
from tuner.registry.base import Claim, Limits, Recovered
from tuner.registry.locks import lock_experiments, lock_out_writers
from tuner.registry.numbers import is_storable, scores_of, stop_of, store_measurements
from tuner.registry.owners import Owner, read_owners
from tuner.registry.schema import attempts, experiments, measurements, owners, provenances, studies
from tuner.registry.sql import LAST_CHARACTER, reading

Result = Evaluation | Failure | Partial

__all__ = ["TAKE", "claim", "finish", "measure", "recover", "release"]

# Statements are built once: building one costs many times what SQLite takes to carry it out.
_WAITING = (
    select(experiments.c.id)
    .where(experiments.c.state == literal_column(f"'{State.WAITING.value}'"))
    .order_by(experiments.c.id)
    .limit(bindparam("n"))
    .with_for_update(skip_locked=True, key_share=True)  # where several write: what another is just taking
)
TAKE = (
    update(experiments)
    .values(
        state=State.RUNNING.value,
        attempt=experiments.c.attempt + 1,
        owner_id=bindparam("by_owner"),
        started_at=bindparam("at"),
    )
    .returning(experiments.c.id, experiments.c.attempt)
)
"""WAITING -> RUNNING; which ones, whoever takes them must add."""

# Found by their ids, which begin with the method: they are few, in a study of any size. The 0 keeps SQLite
# from an index that leads through the whole study.
_GUESSES = _WAITING.where(
    experiments.c.public_id.between(f"{GUESS}_", f"{GUESS}_{LAST_CHARACTER}"),
    experiments.c.method == GUESS,
    experiments.c.study_id + 0 == bindparam("of_study"),
)
_OLDEST = _WAITING.where(
    experiments.c.study_id == bindparam("of_study"),
    experiments.c.value.is_(None),  # for the index
)


def _claiming(which: Select[tuple[int]]) -> ReturningUpdate[tuple[int, int]]:
    first = which.cte("first").prefix_with("MATERIALIZED", dialect="postgresql")
    return TAKE.where(experiments.c.id.in_(select(first.c.id)))


_CLAIM_GUESSES, _CLAIM_OLDEST = _claiming(_GUESSES), _claiming(_OLDEST)
_OPEN_ATTEMPTS = insert(attempts)
_FORGET_MEASUREMENTS = delete(measurements).where(
    measurements.c.experiment_id.in_(bindparam("of_experiments", expanding=True))
)
_CLOSE_ATTEMPT = (
    update(attempts)
    .where(
        attempts.c.experiment_id == bindparam("of_experiment"), attempts.c.number == bindparam("of_number")
    )
    .values(ended_at=bindparam("at"), ending=bindparam("as_ending"), message=bindparam("as_message"))
)
_WHAT_BECAME = select(experiments.c.state, experiments.c.attempt).where(
    experiments.c.id == bindparam("of_experiment")
)
_GOALS = select(studies.c.goals).where(studies.c.id == bindparam("of_study"))
_NEWEST_TURN = select(func.max(provenances.c.turn)).where(provenances.c.study_id == bindparam("of_study"))
_FIND_PROVENANCE = select(provenances.c.id, provenances.c.turn).where(
    provenances.c.study_id == bindparam("of_study"),
    provenances.c.data == bindparam("on_data"),
    provenances.c.code == bindparam("on_code"),
    provenances.c.metric == bindparam("on_metric"),
)


def claim(connection: Connection, study: Study, n: int, owner: tuple[int, str], now: float) -> list[Claim]:
    """See `Registry.claim`. `owner`: row id and token of who claims."""
    given = {"of_study": study.id, "by_owner": owner[0], "at": now}
    taken = list(connection.execute(_CLAIM_GUESSES, given | {"n": n}))
    if len(taken) < n:
        taken += connection.execute(_CLAIM_OLDEST, given | {"n": n - len(taken)})
    if not taken:
        return []
    connection.execute(
        _OPEN_ATTEMPTS,
        [
            {"experiment_id": row.id, "number": row.attempt, "owner_id": owner[0], "started_at": now}
            for row in taken
        ],
    )
    again = [row.id for row in taken if row.attempt > 1]
    if again:  # what the lost attempt had reported is not part of this one
        connection.execute(_FORGET_MEASUREMENTS, {"of_experiments": again})
    ids = [row.id for row in taken]
    rows = queries.by_ids(reading(connection), ids)
    rows.sort(key=lambda experiment: experiment.method != GUESS)
    return [Claim(experiment, owner[1]) for experiment in rows]


def measure(connection: Connection, held: Claim, given: Sequence[Measurement]) -> None:
    """See `Registry.measure`."""
    _check_held(connection, held)
    store_measurements(connection, held, given)


def finish(
    connection: Connection,
    results: Sequence[tuple[Claim, Result]],
    provenance: Provenance | None,
    limits: Limits,
    now: float,
) -> list[Experiment | ClaimLostError]:
    """See `Registry.finish`. The `provenance` is needed as soon as there is an Evaluation."""
    scored_on = _current_provenances(connection, results, provenance)
    ended_on = _EndedOn(connection, results, provenance)
    goals = _goals(connection, results)
    lock_experiments(connection, [held.experiment.id for held, _ in results])
    lost: dict[int, ClaimLostError] = {}
    for place, (held, result) in enumerate(results):
        try:
            if isinstance(result, Failure):
                _fail(connection, held, result, ended_on, limits, now)
                continue
            if isinstance(result, Partial):
                _prune(connection, held, result, ended_on, now)
                continue
            study_id = held.experiment.study_id
            if study_id not in scored_on:
                _check_held(connection, held)  # before a provenance is written for it
                assert provenance is not None
                scored_on[study_id] = _provenance(connection, study_id, provenance)
            _complete(connection, held, result, scored_on[study_id], goals[study_id], now)
        except ClaimLostError as error:
            lost[place] = error
    written = [held.experiment.id for place, (held, _) in enumerate(results) if place not in lost]
    stored = {one.id: one for one in queries.by_ids(reading(connection), written)} if written else {}
    return [lost.get(place) or stored[held.experiment.id] for place, (held, _) in enumerate(results)]


def _complete(
    connection: Connection,
    held: Claim,
    evaluation: Evaluation,
    provenance_id: int,
    goals: Goals,
    now: float,
) -> None:
    try:
        values = scores_of(evaluation)
    except UsageError:
        _check_held(connection, held)  # a result that is dropped anyway refuses nobody else's
        raise
    values |= {
        "state": State.COMPLETE.value,
        "provenance_id": provenance_id,
        "error": None,
        "traceback": None,
        "finished_at": now,
        "duration_s": evaluation.duration_s,
        "feasible": int(goals.kept(evaluation.metrics)),
    }
    _end(connection, held, values, ending="complete", message=None, now=now)
    store_measurements(connection, held, evaluation.measurements)


def _prune(connection: Connection, held: Claim, partial: Partial, ended_on: "_EndedOn", now: float) -> None:
    try:
        values = stop_of(partial)
    except UsageError:
        _check_held(connection, held)  # a result that is dropped anyway refuses nobody else's
        raise
    values |= {
        "state": State.PRUNED.value,
        "ended_on_id": ended_on.id_for(connection, held),
        "error": None,
        "traceback": None,
        "finished_at": now,
        "duration_s": partial.duration_s,
    }
    _end(connection, held, values, ending="pruned", message=f"at step {values['stop_step']}", now=now)
    store_measurements(connection, held, partial.measurements)


def _fail(
    connection: Connection,
    held: Claim,
    failure: Failure,
    ended_on: "_EndedOn",
    limits: Limits,
    now: float,
) -> None:
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
            "ended_on_id": ended_on.id_for(connection, held),
        }
    _end(connection, held, values, ending="failed", message=message, now=now)
    # What a broken experiment reported may be broken too; recording the failure comes first.
    store_measurements(connection, held, filter(is_storable, failure.measurements))


def release(connection: Connection, held: Iterable[Claim], now: float) -> int:
    """See `Registry.release`."""
    n = 0
    held = list(held)
    lock_experiments(connection, [one.experiment.id for one in held])
    for one in held:
        if connection.execute(_fenced_update(()), _named(one)).rowcount:
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
        .with_for_update(key_share=True)
    ).all()
    if not left:
        return []
    connection.execute(
        update(experiments)
        .where(experiments.c.owner_id.in_(dead))
        .values(state=State.WAITING.value, owner_id=None, interruptions=experiments.c.interruptions + 1)
    )
    # One who is taken for dead may wake up and claim in between: that attempt stays open.
    waits = exists().where(
        experiments.c.id == attempts.c.experiment_id, experiments.c.state == State.WAITING.value
    )
    connection.execute(
        update(attempts)
        .where(attempts.c.owner_id.in_(dead), attempts.c.ended_at.is_(None), waits)
        .values(ended_at=now, ending="lost", message="its owner died")
    )
    return [
        Recovered(row.public_id, dead[row.owner_id].token, max(0.0, now - dead[row.owner_id].heartbeat_at))
        for row in left
    ]


def _fence() -> ColumnElement[bool]:
    """True for the claimed row as long as the claim of `_named` is the present one."""
    owner = select(owners.c.id).where(owners.c.token == bindparam("held_by")).scalar_subquery()
    return and_(
        experiments.c.id == bindparam("held_id"),
        experiments.c.state == State.RUNNING.value,
        experiments.c.attempt == bindparam("held_attempt"),
        experiments.c.owner_id == owner,
    )


def _named(held: Claim) -> dict[str, Any]:
    """What `_fence` asks for."""
    return {"held_id": held.experiment.id, "held_attempt": held.attempt, "held_by": held.owner}


@cache
def _find_held() -> Select[tuple[int]]:
    return select(experiments.c.id).where(_fence()).with_for_update(key_share=True)


@cache
def _fenced_update(columns: tuple[str, ...]) -> Update:
    """Ends a claim: sets these columns to parameters called `new_<column>`; to give it back, none."""
    values: Mapping[str, Any] = {column: bindparam(f"new_{column}") for column in columns} or {
        "state": State.WAITING.value,
        "interruptions": experiments.c.interruptions + 1,
    }
    return update(experiments).where(_fence()).values(owner_id=None, **values)


def _check_held(connection: Connection, held: Claim) -> None:
    if connection.execute(_find_held(), _named(held)).first() is None:
        raise _lost(connection, held)


def _end(
    connection: Connection,
    held: Claim,
    values: dict[str, Any],
    *,
    ending: str,
    message: str | None,
    now: float,
) -> None:
    new = {f"new_{column}": value for column, value in values.items()}
    if not connection.execute(_fenced_update(tuple(values)), new | _named(held)).rowcount:
        raise _lost(connection, held)
    _close_attempt(connection, held, ending, message, now)


def _close_attempt(connection: Connection, held: Claim, ending: str, message: str | None, now: float) -> None:
    which = {"of_experiment": held.experiment.id, "of_number": held.attempt}
    connection.execute(_CLOSE_ATTEMPT, which | {"at": now, "as_ending": ending, "as_message": message})


def _lost(connection: Connection, held: Claim) -> ClaimLostError:
    row = connection.execute(_WHAT_BECAME, {"of_experiment": held.experiment.id}).one_or_none()
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


def _goals(connection: Connection, results: Sequence[tuple[Claim, Result]]) -> dict[int, Goals]:
    """What each study with a result wants besides its metric."""
    ids = {held.experiment.study_id for held, result in results if isinstance(result, Evaluation)}
    return {
        id_: codec.to_goals(connection.execute(_GOALS, {"of_study": id_}).scalar_one_or_none()) for id_ in ids
    }


def _current_provenances(
    connection: Connection,
    results: Sequence[tuple[Claim, Result]],
    provenance: Provenance | None,
) -> dict[int, int]:
    """For each study with a result: the row id of the provenance where it is the latest there already.

    Where it is not, it will be written: other writers are locked out, before any row is locked.
    """
    found: dict[int, int] = {}
    if provenance is None:
        return found
    for study_id in {held.experiment.study_id for held, result in results if isinstance(result, Evaluation)}:
        newest, stored = _find_provenance(connection, study_id, provenance)
        if stored is not None and stored.turn == newest:
            found[study_id] = stored.id
        else:
            lock_out_writers(connection)
    return found


class _EndedOn:
    """What experiments ran on that end without a value. A provenance without any value has the turn -1.

    Made before any row is locked: where a provenance is to be written, other writers are locked out.
    """

    def __init__(
        self,
        connection: Connection,
        results: Sequence[tuple[Claim, Result]],
        provenance: Provenance | None,
    ) -> None:
        self._provenance = provenance
        self._ids: dict[int, int] = {}
        if provenance is None:
            return
        for study_id in {
            held.experiment.study_id for held, each in results if not isinstance(each, Evaluation)
        }:
            _, stored = _find_provenance(connection, study_id, provenance)
            if stored is None:
                lock_out_writers(connection)
            else:
                self._ids[study_id] = int(stored.id)

    def id_for(self, connection: Connection, held: Claim) -> int | None:
        """Its row id, written where it is new; None where it is not known."""
        given, study_id = self._provenance, held.experiment.study_id
        if given is None or study_id in self._ids:
            return self._ids.get(study_id)
        _check_held(connection, held)  # before a provenance is written for it
        _, stored = _find_provenance(connection, study_id, given)
        self._ids[study_id] = stored.id if stored else _write_provenance(connection, study_id, given, turn=-1)
        return self._ids[study_id]


def _find_provenance(
    connection: Connection, study_id: int, given: Provenance
) -> tuple[int, Row[Any, Any] | None]:
    """The newest turn of a study, and the id and turn of this provenance there."""
    named = {"of_study": study_id, "on_data": given.data, "on_code": given.code, "on_metric": given.metric}
    newest = max(0, int(connection.execute(_NEWEST_TURN, {"of_study": study_id}).scalar() or 0))
    stored = connection.execute(_FIND_PROVENANCE, named).one_or_none()
    return newest, stored


def _provenance(connection: Connection, study_id: int, given: Provenance) -> int:
    """The row id of a provenance, written where it is new, and now the latest of its study."""
    newest, stored = _find_provenance(connection, study_id, given)
    if stored is None:
        return _write_provenance(connection, study_id, given, turn=newest + 1)
    if stored.turn < newest:
        connection.execute(update(provenances).where(provenances.c.id == stored.id).values(turn=newest + 1))
    return int(stored.id)


def _write_provenance(connection: Connection, study_id: int, given: Provenance, *, turn: int) -> int:
    values = {"data": given.data, "code": given.code, "metric": given.metric, "turn": turn}
    written = insert(provenances).values(study_id=study_id, **values).returning(provenances.c.id)
    return int(connection.execute(written).scalar_one())
