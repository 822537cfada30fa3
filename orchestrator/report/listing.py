"""`ls`: one line per experiment."""

from collections.abc import Collection, Sequence

from orchestrator.report.rows import PLUS_MINUS, all_names, experiment_json, parameter_cell, parameter_columns
from retrain.comparable import difference
from retrain.tables import plus_minus_column, render, seconds, to_json
from tuner.errors import UsageError, did_you_mean
from tuner.experiment import GUESS, Experiment, Provenance, State, Study
from tuner.registry.base import RegistryReader

__all__ = ["listing"]


def listing(
    registry: RegistryReader,
    study: Study,
    *,
    states: Collection[State] | None = None,
    method: str | None = None,
    limit: int | None = None,
    output: str = "table",
) -> str:
    """List the experiments of a study in the order of writing, the newest last.

    Args:
        registry: where to look.
        study: whose experiments.
        states: only these; all when not given.
        method: only those that this generator proposed.
        limit: only the newest so many of what is left.
        output: "table" and "markdown" give one short line each; "json" and "csv" everything.

    Raises:
        UsageError: there is no such method.
    """
    found = registry.experiments(study, states=states or None)
    if method is not None:
        there = {each.method for each in found}
        if method not in there:
            _check_method(method, there)
        found = [each for each in found if each.method == method]
    if limit is not None:
        found = found[-limit:] if limit > 0 else []
    match output:
        case "json":
            return to_json([experiment_json(each) for each in found])
        case "csv":
            return _csv(found)
    newest = next((each for each, n in registry.provenances(study) if n), None)
    columns = ["experiment", "state", study.metric, "took", "why"]
    values = plus_minus_column([(each.value, each.std_error) for each in found])
    rows = [
        {
            "experiment": each.public_id,
            "state": each.state.value,
            study.metric: value,
            "took": seconds(each.duration_s),
            "why": _why(each, newest),
        }
        for each, value in zip(found, values, strict=True)
    ]
    text = render(rows, columns if any(row["why"] for row in rows) else columns[:-1], output)
    if not any("±" in value for value in values):
        return text
    return f"{text}\n{PLUS_MINUS}" if output == "table" else f"{text}\n\n{PLUS_MINUS}"


def _check_method(method: str, there: Collection[str]) -> None:
    """A known method that proposed nothing here has an empty list; a name that is none is a slip."""
    from tuner.generators import METHODS

    known = sorted({*there, *METHODS, "default", "deployed", GUESS})
    if method not in known:
        raise UsageError(
            f"Unknown method {method!r}.{did_you_mean(method, known)}",
            f"There are: {', '.join(known)}.",
        )


def _why(experiment: Experiment, newest: Provenance | None) -> str | None:
    """Why it has no value, or one that is not to be compared with the newest."""
    if experiment.outcome is not None:
        return experiment.outcome.value
    if experiment.stop is not None:
        return f"{experiment.stop.value:.4g} at step {experiment.stop.step}"
    if not experiment.feasible:
        return "infeasible"
    scored_on = experiment.provenance
    return difference(scored_on, newest) or None if scored_on is not None and newest is not None else None


def _csv(found: Sequence[Experiment]) -> str:
    fixed = ["id", "method", "state", "outcome", "value", "std_error", "duration_s", "started_at", "error"]
    columns = parameter_columns(all_names([each.params for each in found]), fixed)
    rows = [
        {
            **experiment_json(each),
            **{column: parameter_cell(each.params, name) for name, column in columns.items()},
        }
        for each in found
    ]
    return render(rows, [*fixed, *columns.values()], "csv")
