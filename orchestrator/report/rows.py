"""Experiments as cells, lines and JSON: what the reports share."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from retrain.tables import timestamp
from tuner.experiment import Experiment, Params, Provenance, State

__all__ = [
    "all_names",
    "count_text",
    "differing",
    "experiment_json",
    "parameter_columns",
    "provenance_json",
    "provenance_text",
]

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


def parameter_columns(names: Collection[str], taken: Collection[str]) -> dict[str, str]:
    """Parameter -> column header: its name, or `params.<name>` where another column is called so."""
    return {name: f"params.{name}" if name in taken else name for name in names}


def count_text(counts: Mapping[State, int]) -> str:
    """Return "52 in all: 50 complete, 1 failed, 1 waiting"; states without any are left out."""
    order = (State.COMPLETE, State.PRUNED, State.FAILED, State.RUNNING, State.WAITING)
    parts = [f"{counts[state]} {state}" for state in order if counts.get(state)]
    return f"{sum(counts.values())} in all" + (f": {', '.join(parts)}" if parts else "")


def provenance_text(provenance: Provenance) -> str:
    """Return "data 3f2a91c0d4e5, code 9d00ab12c3d4; <definition of the metric>", less what is empty."""
    parts = [f"{name} {value[:12]}" for name in ("data", "code") if (value := getattr(provenance, name))]
    return "; ".join(part for part in (", ".join(parts), provenance.metric) if part) or "no data of its own"


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
        "metrics": dict(experiment.metrics),
        "params": dict(experiment.params),
        "parent": experiment.parent,
        "seed": experiment.seed,
        "repeat": experiment.repeat,
        "attempt": experiment.attempt,
        "error": experiment.error,
        "scored_on": experiment.provenance and provenance_json(experiment.provenance),
        "created_at": timestamp(experiment.created_at),
        "started_at": timestamp(experiment.started_at),
        "finished_at": timestamp(experiment.finished_at),
        "duration_s": experiment.duration_s,
    }
