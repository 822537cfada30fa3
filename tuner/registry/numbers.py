"""The numbers of results as columns: finite, or refused. Functions of an open connection."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, text

from tuner.errors import UsageError
from tuner.experiment import Evaluation, Measurement, Partial
from tuner.registry import codec
from tuner.registry.base import Claim

__all__ = ["is_storable", "scores_of", "stop_of", "store_measurements"]

_MEASURE = text(
    "INSERT INTO measurements (experiment_id, metric, step, value)"
    " VALUES (:experiment_id, :metric, :step, :value)"
    " ON CONFLICT (experiment_id, metric, step) DO UPDATE SET value = excluded.value"
)


def scores_of(evaluation: Evaluation) -> dict[str, Any]:
    """The columns of a value. Raises UsageError where a number is none."""
    return {
        "value": codec.finite("`value` of an Evaluation", evaluation.value),
        "std_error": None if evaluation.std_error is None else _std_error(evaluation.std_error),
        "metrics": _metrics(evaluation),
    }


def _std_error(given: float) -> float:
    number = codec.finite("`std_error` of an Evaluation", given)
    if number < 0:
        raise UsageError(f"`std_error >= 0` must hold for an Evaluation, but got {given!r}.")
    return number


def stop_of(partial: Partial) -> dict[str, Any]:
    """The columns of where it stood. Raises UsageError where a number is none."""
    return {
        "stop_value": codec.finite("`value` of a Partial", partial.value),
        "stop_step": _checked_step(partial.step),
        "metrics": _metrics(partial),
    }


def _metrics(result: Evaluation | Partial) -> str | None:
    finite = {name: codec.finite(f"metric {name!r}", value) for name, value in result.metrics.items()}
    return codec.dump(finite) if finite else None


def is_storable(measurement: Measurement) -> bool:
    """Whether `store_measurements` would take it."""
    try:
        codec.finite(measurement.metric, measurement.value)
    except UsageError:
        return False
    return measurement.step >= 0


def store_measurements(connection: Connection, held: Claim, given: Iterable[Measurement]) -> None:
    """Write them; the last of one (step, metric) stands. Raises UsageError where a number is none."""
    rows = [
        {
            "experiment_id": held.experiment.id,
            "metric": one.metric,
            "step": _checked_step(one.step),
            "value": codec.finite(f"metric {one.metric!r} at step {one.step}", one.value),
        }
        for one in given
    ]
    if rows:
        connection.execute(_MEASURE, rows)


def _checked_step(given: int) -> int:
    if given < 0:
        raise UsageError(f"`step >= 0` must hold for a Measurement, but got {given}.")
    return int(given)
