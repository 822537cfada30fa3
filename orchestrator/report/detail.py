"""`show`: everything about one experiment. `diff`: what sets two of them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from orchestrator.report.rows import (
    aligned,
    differing,
    experiment_json,
    parameter_cell,
    provenance_facts,
)
from retrain.improvement import Improvement, improvement, improvement_json, improvement_lines
from retrain.page import Page
from retrain.tables import number, plus_minus, plus_minus_column, render, seconds, timestamp, to_json
from tuner.errors import MismatchError
from tuner.experiment import Confirmation, Experiment, Measurement, Study
from tuner.registry.base import RegistryReader

__all__ = ["diff", "show"]

_TRACEBACK_LINES = 15


def show(registry: RegistryReader, prefix: str, *, output: str = "table", colour: bool = False) -> str:
    """Describe the experiment whose id starts with `prefix`.

    Raises:
        NotFoundError: no experiment does, or several do.
    """
    experiment = registry.get_experiment(prefix)
    study = _study_of(registry, experiment)
    measurements = registry.measurements(experiment)
    attempts = registry.attempts(experiment)
    repeats = _repeats_of(registry, study, experiment)
    if output == "json":
        return to_json(
            {
                "study": study.name,
                **experiment_json(experiment),
                "confirmations": [
                    {"seed": each.seed, "value": each.value, "folds": list(each.folds)} for each in repeats
                ],
                "reason": dict(experiment.reason),
                "traceback": experiment.traceback,
                "measurements": [asdict(each) for each in measurements],
                "attempts": [
                    {
                        **asdict(each),
                        "started_at": timestamp(each.started_at),
                        "ended_at": timestamp(each.ended_at),
                    }
                    for each in attempts
                ],
            }
        )
    if output == "csv":
        return render(_flat(study, experiment), ["field", "value"], "csv")
    page = Page(output, colour)
    page.lines(f"Experiment {experiment.public_id}", *_facts(study, experiment))
    page.table(
        "Parameters",
        [
            {
                "parameter": name,
                "value": parameter_cell(experiment.params, name),
                "baseline": parameter_cell(study.baseline, name),
            }
            for name in experiment.params
        ],
        ["parameter", "value", "baseline"],
    )
    page.table(
        "Metrics", [{"metric": k, "value": v} for k, v in experiment.metrics.items()], ["metric", "value"]
    )
    page.table("Measurements", *_by_step(measurements), keys=("step",))
    page.table(
        "Scored again on fresh folds",
        [{"seed": each.seed, study.metric: each.value} for each in repeats],
        ["seed", study.metric],
    )
    page.table(
        "Attempts",
        [
            {
                "#": each.number,
                "started": timestamp(each.started_at),
                "took": seconds(None if each.ended_at is None else each.ended_at - each.started_at),
                "ending": each.ending or "running",
                "message": each.message,
            }
            for each in attempts
        ],
        ["#", "started", "took", "ending", "message"],
        keys=("#",),
    )
    if experiment.error:
        page.lines("Error", *experiment.error.splitlines())
    if experiment.traceback:
        page.verbatim("Traceback, its end", *experiment.traceback.splitlines()[-_TRACEBACK_LINES:])
    return page.text()


def _repeats_of(registry: RegistryReader, study: Study, experiment: Experiment) -> list[Confirmation]:
    """What confirmations scored it on the same data, code and metric."""
    if experiment.provenance is None:
        return []
    found = registry.confirmations(study, experiment.provenance)
    return [each for each in found if each.experiment == experiment.public_id]


def _by_step(measurements: Sequence[Measurement]) -> tuple[list[dict[str, Any]], list[str]]:
    """One row per step, one column per metric."""
    rows: dict[int, dict[str, Any]] = {}
    for each in measurements:
        rows.setdefault(each.step, {"step": each.step})[each.metric] = each.value
    return [rows[step] for step in sorted(rows)], [
        "step",
        *dict.fromkeys(each.metric for each in measurements),
    ]


def _facts(study: Study, experiment: Experiment) -> list[str]:
    outcome = f" ({experiment.outcome})" if experiment.outcome else ""
    facts = {
        "study": study.name,
        "method": experiment.method,
        "state": f"{experiment.state}{outcome}",
        study.metric: plus_minus(experiment.value, experiment.std_error),
        "stood at": _stop(experiment),
        "took": seconds(experiment.duration_s),
        "written": timestamp(experiment.created_at),
        "started": timestamp(experiment.started_at),
        "finished": timestamp(experiment.finished_at),
        "seed": str(experiment.seed),
        "repeat": str(experiment.repeat or ""),
        "parent": experiment.parent,
        "reason": ", ".join(f"{key} {_brief(value)}" for key, value in experiment.reason.items()),
        "infeasible": "" if experiment.feasible else _broken_limits(study, experiment),
        **provenance_facts(experiment.provenance or experiment.ended_on, study),
    }
    return aligned(facts)


def _stop(experiment: Experiment) -> str | None:
    stop = experiment.stop
    return None if stop is None else f"{stop.value:.6g} when it was pruned, at step {stop.step}"


def _broken_limits(study: Study, experiment: Experiment) -> str:
    excesses = study.goals.excesses(experiment.metrics) or {}
    broken = [f"{number(excess)} beyond {name}" for name, excess in excesses.items() if excess > 0]
    return ", ".join(broken) or "a metric of the study's goals is missing"


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_brief(each)}" for key, each in value.items())
    return number(value) if isinstance(value, float) else str(value)


def _flat(study: Study, experiment: Experiment) -> list[dict[str, Any]]:
    """Every field on a row of its own, nested ones by dotted name."""
    rows = [{"field": "study", "value": study.name}]
    for name, value in experiment_json(experiment).items():
        if isinstance(value, dict):
            rows += [{"field": f"{name}.{key}", "value": inner} for key, inner in value.items()]
        else:
            rows.append({"field": name, "value": value})
    return rows


def diff(
    registry: RegistryReader,
    first: str,
    second: str,
    *,
    folds: int | None = None,
    output: str = "table",
    colour: bool = False,
) -> str:
    """Show the parameters in which two experiments differ, and which is better by how much.

    For programs the difference is the first minus the second.

    Args:
        registry: where both are.
        first: an id, or the start of one that no other has.
        second: likewise.
        folds: folds of one repeat of cross-validation, for the corrected standard error.
        output: one of `retrain.tables.FORMATS`.
        colour: whether titles may be bold.

    Raises:
        NotFoundError: an id fits none, or several.
        MismatchError: they belong to different studies.
    """
    a, b = registry.get_experiment(first), registry.get_experiment(second)
    if a.study_id != b.study_id:
        raise MismatchError(
            f"Experiments are compared within one study, but {a.public_id} and {b.public_id} are of two.",
            "orchestrator ls",
        )
    study = _study_of(registry, a)
    names = differing([a.params, b.params])
    rows = [
        {"parameter": name, **{each.public_id: parameter_cell(each.params, name) for each in (a, b)}}
        for name in names
    ]
    columns = ["parameter", a.public_id, b.public_id]
    gain = None if _obstacle(a, b) else improvement(registry, study, a, b, against=b.public_id, folds=folds)
    if output == "csv":
        figures = _figures(study, a, b, gain)
        return render([*rows, figures], [*columns, "difference", "interval_low", "interval_high"], "csv")
    if output == "json":
        return to_json(
            {
                "study": study.name,
                "first": experiment_json(a),
                "second": experiment_json(b),
                "differing": names,
                "improvement": gain and improvement_json(gain),
                "not_compared": _obstacle(a, b),
            }
        )
    page = Page(output, colour)
    page.table("Parameters that differ", rows, columns)
    if not names:
        page.lines("Parameters", "Both have the same.")
    if gain is not None and gain.amount < 0:  # a person is told who is better, whoever was named first
        gain = improvement(registry, study, b, a, against=a.public_id, folds=folds)
    page.lines(study.metric, *_value_lines(a, b, gain))
    others = [] if _obstacle(a, b) else [name for name in a.metrics if name in b.metrics]
    values = [{"metric": n, a.public_id: a.metrics[n], b.public_id: b.metrics[n]} for n in others]
    page.table("Metrics", values, ["metric", a.public_id, b.public_id])
    return page.text()


def _figures(study: Study, a: Experiment, b: Experiment, gain: Improvement | None) -> dict[str, Any]:
    """The last row of the CSV: both values, the first minus the second, and the interval of that."""
    low, high = (gain and gain.change_interval) or (None, None)
    return {
        "parameter": study.metric,
        a.public_id: a.value,
        b.public_id: b.value,
        "difference": gain and gain.change,
        "interval_low": low,
        "interval_high": high,
    }


def _value_lines(a: Experiment, b: Experiment, gain: Improvement | None) -> list[str]:
    width = max(len(a.public_id), len(b.public_id))
    values = plus_minus_column([(each.value, each.std_error) for each in (a, b)])
    lines = [f"{e.public_id:<{width}}  {value or e.state}" for e, value in zip((a, b), values, strict=True)]
    if gain is None:
        return [*lines, str(_obstacle(a, b))]
    better = f"{gain.candidate.public_id} has the better value" if gain.amount else "Both have the same value"
    amount, *interval = improvement_lines(gain)
    return [*lines, f"{better}: {amount}", *interval]


def _obstacle(a: Experiment, b: Experiment) -> str | None:
    """Why two experiments cannot be compared, or None."""
    for each in (a, b):
        if each.value is None:
            return f"Not compared: {each.public_id} has no value ({each.state})."
    if a.provenance != b.provenance:
        pairs = (
            (n, getattr(a.provenance, n, ""), getattr(b.provenance, n, ""))
            for n in ("data", "code", "metric")
        )
        return f"Not compared: scored on different {' and '.join(n for n, x, y in pairs if x != y)}."
    return None


def _study_of(registry: RegistryReader, experiment: Experiment) -> Study:
    return next(study for study in registry.studies() if study.id == experiment.study_id)
