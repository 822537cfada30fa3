"""Experiments as cells, lines and JSON: what the reports share."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from retrain.tables import timestamp
from retrain.tune_rows import tuned_on
from tuner.experiment import Experiment, Params, Provenance, State, Study, Value
from tuner.goals import Goals

__all__ = [
    "PLUS_MINUS",
    "aligned",
    "all_names",
    "count_text",
    "differing",
    "experiment_json",
    "goal_facts",
    "goals_of",
    "parameter_cell",
    "parameter_columns",
    "provenance_facts",
    "provenance_json",
]

PLUS_MINUS = "± is the standard error over folds"
"""What stands once under a table of scores."""

_MISSING = object()


def all_names(configurations: Sequence[Params]) -> list[str]:
    """Every parameter that any of the configurations has, in the order they are met."""
    return list(dict.fromkeys(name for params in configurations for name in params))


def differing(configurations: Sequence[Params]) -> list[str]:
    """The parameters that do not have one and the same value (or absence) in all of the configurations."""
    return [
        name
        for name in all_names(configurations)
        if any(
            params.get(name, _MISSING) != configurations[0].get(name, _MISSING) for params in configurations
        )
    ]


def parameter_cell(params: Params, name: str) -> Value:
    """What a table or CSV has for it: an empty cell where it is not in use, "null" where it is None."""
    return "null" if params.get(name, _MISSING) is None else params.get(name)


def parameter_columns(names: Collection[str], taken: Collection[str]) -> dict[str, str]:
    """Parameter -> column header: its name, or `params.<name>` where another column is called so."""
    return {name: f"params.{name}" if name in taken else name for name in names}


def count_text(counts: Mapping[State, int]) -> str:
    """Return "52 in all: 50 complete, 1 failed, 1 waiting"; states without any are left out."""
    order = (State.COMPLETE, State.PRUNED, State.FAILED, State.RUNNING, State.WAITING)
    parts = [f"{counts[state]} {state}" for state in order if counts.get(state)]
    return f"{sum(counts.values())} in all" + (f": {', '.join(parts)}" if parts else "")


def provenance_facts(provenance: Provenance | None, study: Study) -> dict[str, str]:
    """What scores were made with, by label; what is empty or said already is left out."""
    if provenance is None:
        return {}
    metric = provenance.metric.removeprefix(f"{study.metric}, {study.direction}").lstrip("; ")
    facts = {"data": provenance.data, "code": provenance.code, "measured": metric}
    if (part := tuned_on(provenance)) is not None:
        facts["rows"] = f"{part}; confirmation, gate and final fit take all"
    return {label: value for label, value in facts.items() if value}


def aligned(facts: Mapping[str, str | None]) -> list[str]:
    """Facts as lines with their values in one column; what is empty is left out."""
    known = {label: value for label, value in facts.items() if value}
    width = max(map(len, known))
    return [f"{label:<{width}}  {value}" for label, value in known.items()]


def goal_facts(goals: Goals) -> dict[str, str]:
    """What a study wants besides its metric, by label."""
    return {
        "objectives": "; ".join(f"{each.metric}, {each.direction}" for each in goals.objectives),
        "limits": "; ".join(map(str, goals.limits)),
    }


def goals_of(experiment: Experiment, goals: Goals) -> dict[str, float]:
    """Its numbers that the goals are about, by name."""
    return {name: experiment.metrics[name] for name in goals.metrics if name in experiment.metrics}


def provenance_json(provenance: Provenance) -> dict[str, str]:
    """All three parts in full."""
    return {"data": provenance.data, "code": provenance.code, "metric": provenance.metric}


def experiment_json(experiment: Experiment) -> dict[str, Any]:
    """Everything a row holds but its traceback, JSON-ready, times as ISO 8601 in UTC."""
    return {
        "id": experiment.public_id,
        "method": experiment.method,
        "state": experiment.state.value,
        "outcome": experiment.outcome and experiment.outcome.value,
        "value": experiment.value,
        "std_error": experiment.std_error,
        **({} if experiment.stop is None else {"stop": asdict(experiment.stop)}),
        "metrics": dict(experiment.metrics),
        **({} if experiment.feasible else {"feasible": False}),
        "params": dict(experiment.params),
        "parent": experiment.parent,
        "seed": experiment.seed,
        "repeat": experiment.repeat,
        "attempt": experiment.attempt,
        "error": experiment.error,
        "scored_on": (on := experiment.provenance or experiment.ended_on) and provenance_json(on),
        "created_at": timestamp(experiment.created_at),
        "started_at": timestamp(experiment.started_at),
        "finished_at": timestamp(experiment.finished_at),
        "duration_s": experiment.duration_s,
    }
