"""Questions about experiments: functions of a `Read`, so that every database answers the same ones."""

import json
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from operator import itemgetter
from typing import Any

from tuner.direction import loss_of
from tuner.errors import NotFoundError
from tuner.experiment import (
    Confirmation,
    Direction,
    Experiment,
    Measurement,
    Outcome,
    Params,
    Provenance,
    State,
    Study,
)
from tuner.goals import front as pareto_front
from tuner.registry import codec
from tuner.registry.records import Attempt, Effort, FailedAlike, Run
from tuner.registry.sql import LAST_CHARACTER, Read, marks

__all__ = [
    "attempts_of",
    "best",
    "by_ids",
    "confirmations_of",
    "counts",
    "counts_by_method",
    "effort",
    "failures",
    "find_scored",
    "front",
    "get_experiment",
    "list_experiments",
    "measurements_of",
    "n_infeasible",
    "provenances_of",
]

_EXPERIMENTS = """
    SELECT e.id, e.public_id, e.study_id, e.run_id, e.method, e.params, e.repeat, e.seed, e.reason, e.state,
           e.outcome, e.value, e.std_error, e.metrics, e.provenance_id, e.error, e.traceback, e.attempt,
           e.failures, e.deaths, e.interruptions, e.created_at, e.started_at, e.finished_at, e.duration_s,
           e.feasible, e.ended_on_id, e.stop_step, e.stop_value, shapes.names, owners.token,
           parents.public_id AS parent, provenances.data AS on_data, provenances.code AS on_code,
           provenances.metric AS on_metric
    FROM experiments AS e
    JOIN shapes ON shapes.id = e.shape_id
    LEFT JOIN owners ON owners.id = e.owner_id
    LEFT JOIN experiments AS parents ON parents.id = e.parent_id
    LEFT JOIN provenances ON provenances.id = coalesce(e.provenance_id, e.ended_on_id)"""


def _experiments(read: Read, rest: str, parameters: Sequence[Any]) -> list[Experiment]:
    """The experiments `e` that the rest of the statement (WHERE, ORDER BY, LIMIT) leaves."""
    return [codec.read(codec.to_experiment, row) for row in read(f"{_EXPERIMENTS} {rest}", parameters)]


def by_ids(read: Read, ids: Sequence[int]) -> list[Experiment]:
    """The experiments with these ids, in the order of writing."""
    return _experiments(read, f"WHERE e.id IN ({marks(ids)}) ORDER BY e.id", ids)


def get_experiment(read: Read, prefix: str) -> Experiment:
    """See `RegistryReader.get_experiment`."""
    prefix = codec.clean_text(prefix)
    exact = _experiments(read, "WHERE e.public_id = ?", [prefix])
    if exact:
        return exact[0]
    found = [
        row["public_id"]
        for row in read(
            "SELECT public_id FROM experiments WHERE public_id BETWEEN ? AND ? ORDER BY public_id LIMIT 6",
            [prefix, prefix + LAST_CHARACTER],
        )
    ]
    if prefix and len(found) == 1:
        return _experiments(read, "WHERE e.public_id = ?", found)[0]
    if prefix and found:
        some = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise NotFoundError(
            f"An experiment is named by its id or a prefix of it that no other has, but several start with"
            f" {prefix!r}: {some}.",
            "Give more characters of the one you mean.",
        )
    latest = [row["public_id"] for row in read(_LATEST_IDS, [])]
    close = get_close_matches(prefix, latest, n=1, cutoff=0.6)
    raise NotFoundError(
        f"There is no experiment {prefix!r}." + (f" Did you mean {close[0]!r}?" if close else ""),
        "List them with: orchestrator ls",
    )


_LATEST_IDS = "SELECT public_id FROM experiments ORDER BY id DESC LIMIT 500"


def list_experiments(
    read: Read,
    study: Study | None,
    *,
    states: Collection[State] | None,
    run: Run | None,
    limit: int | None,
    newest_first: bool,
) -> list[Experiment]:
    """See `RegistryReader.experiments`."""
    conditions: list[str] = []
    parameters: list[Any] = []
    if states is not None:
        conditions.append(f"e.state IN ({marks(states)})")
        parameters += [state.value for state in states]
    if states is not None and State.COMPLETE not in states:
        conditions.append("e.value IS NULL")  # for the index
        if study is not None:
            conditions.append("e.study_id = ?")
            parameters.append(study.id)
    elif study is not None or run is not None:
        where_they_lie, ids = _where_they_lie(study, run)
        conditions.append(where_they_lie)
        parameters += ids
    if run is not None:
        conditions.append("e.run_id = ?")
        parameters.append(run.id)
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    order = "ORDER BY e.id DESC" if newest_first else "ORDER BY e.id"
    if limit is not None:
        order += " LIMIT ?"
        parameters.append(limit)
    return _experiments(read, where + order, parameters)


# The plus keeps SQLite from the index of configurations, whose order is no order.
_WHERE_THEY_LIE = """e.id BETWEEN (SELECT min(first_id) FROM counts WHERE <of>)
        AND (SELECT max(last_id) FROM counts WHERE <of>) AND +e.study_id = ?"""


def _where_they_lie(study: Study | None, run: Run | None) -> tuple[str, list[int]]:
    """The rows of a study, or of a run, by the range of ids in which all of them lie; with its parameters."""
    study_id = study.id if study is not None else run.study_id if run is not None else 0
    of, ids = ("study_id = ?", [study_id])
    if run is not None:
        of, ids = f"{of} AND run_id = ?", [*ids, run.id]
    return _WHERE_THEY_LIE.replace("<of>", of), [*ids, *ids, study_id]


_COUNTS = """
    SELECT sum(waiting) AS waiting, sum(running) AS running, sum(complete) AS complete, sum(pruned) AS pruned,
           sum(failed) AS failed
    FROM counts WHERE study_id = ?"""


def counts(read: Read, study: Study, run: Run | None) -> dict[State, int]:
    """See `RegistryReader.counts`."""
    of_run, ids = ("", []) if run is None else (" AND run_id = ?", [run.id])
    [row] = read(_COUNTS + of_run, [study.id, *ids])
    return {state: int(row[state.value] or 0) for state in State}


def provenances_of(read: Read, study: Study) -> list[tuple[Provenance, int]]:
    """See `RegistryReader.provenances`."""
    rows = read(
        "SELECT p.data, p.code, p.metric, coalesce(scored.n_complete, 0) AS n FROM provenances AS p"
        " LEFT JOIN scored ON scored.provenance_id = p.id WHERE p.study_id = ?"
        " AND p.turn >= 0 ORDER BY p.turn DESC",
        [study.id],
    )
    return [(Provenance(row["data"], row["code"], row["metric"]), row["n"]) for row in rows]


def counts_by_method(read: Read, study: Study) -> dict[str, dict[State, int]]:
    """See `RegistryReader.counts_by_method`."""
    where, parameters = _where_they_lie(study, None)
    rows = read(
        f"SELECT e.method, e.state, count(*) AS n, min(e.id) AS first FROM experiments AS e WHERE {where}"  # noqa: S608
        " GROUP BY e.method, e.state",
        parameters,
    )
    found: dict[str, dict[State, int]] = {}
    for row in sorted(rows, key=itemgetter("first")):
        found.setdefault(row["method"], dict.fromkeys(State, 0))[State(row["state"])] = int(row["n"])
    return found


def best(
    read: Read, study: Study, n: int, provenance: Provenance | None, method: str | None
) -> list[Experiment]:
    """See `RegistryReader.best`."""
    wanted, parameters = _provenance_id(study, provenance)
    where = (
        f"WHERE e.study_id = ? AND e.provenance_id = ({wanted}) AND e.value IS NOT NULL AND e.feasible = 1"
    )
    if method is not None:
        where += " AND e.method = ?"
        parameters = [*parameters, method]
    order = "e.value DESC" if study.direction is Direction.MAXIMIZE else "e.value"
    return _experiments(read, f"{where} ORDER BY {order}, e.id LIMIT ?", [study.id, *parameters, n])


def front(read: Read, study: Study, provenance: Provenance | None) -> list[Experiment]:
    """See `RegistryReader.front`."""
    wanted, parameters = _provenance_id(study, provenance)
    rows = read(
        f"SELECT id, value, metrics FROM experiments WHERE study_id = ? AND provenance_id = ({wanted})"  # noqa: S608
        " AND value IS NOT NULL AND feasible = 1 ORDER BY id",
        [study.id, *parameters],
    )
    losses = {}
    for row in rows:
        others = study.goals.losses(json.loads(row["metrics"]) if row["metrics"] else {})
        if others is not None:
            losses[row["id"]] = (loss_of(row["value"], study.direction), *others)
    ids = [list(losses)[i] for i in pareto_front(losses.values())]
    return sorted(by_ids(read, ids), key=lambda one: losses[one.id]) if ids else []


def n_infeasible(read: Read, study: Study, provenance: Provenance | None) -> int:
    """See `RegistryReader.n_infeasible`."""
    if not study.goals:
        return 0
    wanted, parameters = _provenance_id(study, provenance)
    [row] = read(
        f"SELECT count(*) AS n FROM experiments WHERE study_id = ? AND provenance_id = ({wanted})"  # noqa: S608
        " AND value IS NOT NULL AND feasible = 0",
        [study.id, *parameters],
    )
    return int(row["n"])


def _provenance_id(study: Study, provenance: Provenance | None) -> tuple[str, list[Any]]:
    """A subquery for the row id of a provenance, with its parameters; of the latest, where it is None."""
    wanted = "SELECT id FROM provenances WHERE study_id = ?"
    if provenance is None:
        return f"{wanted} ORDER BY turn DESC LIMIT 1", [study.id]
    scored_on = [provenance.data, provenance.code, provenance.metric]
    return f"{wanted} AND data = ? AND code = ? AND metric = ?", [study.id, *scored_on]


def find_scored(
    read: Read, study: Study, provenance: Provenance, *, params: Params | None, method: str | None
) -> Experiment | None:
    """See `RegistryReader.find_scored`."""
    wanted, parameters = _provenance_id(study, provenance)
    # A plus keeps SQLite from an index: left to itself it would walk through the whole study, as if in luck.
    where = f"WHERE +e.provenance_id = ({wanted}) AND e.value IS NOT NULL"
    if params is not None:
        _, key = codec.encode_params(codec.plain_params(params))
        where += " AND e.study_id = ? AND e.config_hash = ?"
        parameters += [study.id, key]
    if method is not None:  # each public id starts with it, and has an index
        where += " AND e.public_id BETWEEN ? AND ? AND e.method = ?"
        parameters += [f"{method}_", f"{method}_{LAST_CHARACTER}", method]
    found = _experiments(read, f"{where} ORDER BY +e.id DESC LIMIT 1", parameters)
    return found[0] if found else None


def effort(read: Read, study: Study) -> Effort:
    """See `RegistryReader.effort`."""
    [row] = read("SELECT experiments_s, wall_s FROM efforts WHERE study_id = ?", [study.id])
    return Effort(row["experiments_s"], row["wall_s"])


def failures(read: Read, study: Study) -> list[FailedAlike]:
    """See `RegistryReader.failures`."""
    rows = read(
        """SELECT alike.outcome, alike.error, alike.n, e.public_id
        FROM (SELECT outcome, error, count(*) AS n, max(id) AS latest FROM experiments
              WHERE study_id = ? AND state = 'failed' AND value IS NULL GROUP BY outcome, error) AS alike
        JOIN experiments AS e ON e.id = alike.latest ORDER BY alike.latest""",
        [study.id],
    )
    return [
        FailedAlike(Outcome(row["outcome"]), row["error"] or "", row["n"], row["public_id"]) for row in rows
    ]


def measurements_of(read: Read, experiment: Experiment) -> list[Measurement]:
    """See `RegistryReader.measurements`."""
    rows = read(
        "SELECT step, metric, value FROM measurements WHERE experiment_id = ? ORDER BY metric, step",
        [experiment.id],
    )
    return [codec.read(codec.to_measurement, row) for row in rows]


def attempts_of(read: Read, experiment: Experiment) -> list[Attempt]:
    """See `RegistryReader.attempts`."""
    rows = read(
        "SELECT a.number, owners.token, a.started_at, a.ended_at, a.ending, a.message FROM attempts AS a"
        " JOIN owners ON owners.id = a.owner_id WHERE a.experiment_id = ? ORDER BY a.number",
        [experiment.id],
    )
    return [codec.read(codec.to_attempt, row) for row in rows]


def confirmations_of(read: Read, study: Study, provenance: Provenance | None) -> list[Confirmation]:
    """See `RegistryReader.confirmations`."""
    wanted, parameters = _provenance_id(study, provenance)
    rows = read(
        f"""SELECT e.public_id, c.seed, c.value, c.folds, c.duration_s,
            v.data AS on_data, v.code AS on_code, v.metric AS on_metric
        FROM confirmations AS c
        JOIN experiments AS e ON e.id = c.experiment_id
        JOIN provenances AS v ON v.id = c.provenance_id
        WHERE c.provenance_id = ({wanted}) ORDER BY c.id""",  # noqa: S608
        parameters,
    )
    return [codec.read(codec.to_confirmation, row) for row in rows]
