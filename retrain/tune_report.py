"""`retrain --tune-report`: how the tuning goes, while it goes."""

from dataclasses import dataclass
from typing import Any

from retrain.config import Lookup
from retrain.improvement import (
    Improvement,
    find_configuration,
    get_study,
    improvement,
    improvement_json,
    improvement_lines,
)
from retrain.page import Page
from retrain.tables import number, plus_minus, render, timestamp, to_json
from tuner.errors import NotFoundError
from tuner.experiment import Experiment, State, Study
from tuner.registry import open_registry
from tuner.registry.base import Event, RegistryReader

__all__ = ["MethodProgress", "TuneReport", "report_on", "tune_report", "tune_report_text"]

_N_EVENTS = 5


@dataclass(frozen=True, slots=True)
class MethodProgress:
    """What one method proposed: how many in each state, and the best of the complete ones (or None)."""

    method: str
    counts: dict[State, int]
    best: Experiment | None


@dataclass(frozen=True, slots=True)
class TuneReport:
    """How a study goes.

    Attributes:
        gain: of the best over the baseline; None until both are complete.
        front: with several objectives, the Pareto front.
        n_infeasible: complete experiments that do not keep the study's limits.
    """

    study: Study
    methods: tuple[MethodProgress, ...]
    best: Experiment | None
    gain: Improvement | None
    front: tuple[Experiment, ...]
    n_infeasible: int
    events: tuple[Event, ...]


def tune_report(registry: RegistryReader, study: Study, *, folds: int | None = None) -> TuneReport:
    """Gather how a study goes; `folds` as for `retrain.improvement.improvement`.

    Raises:
        NotFoundError: the study has no experiments yet.
    """
    counts = registry.counts_by_method(study)
    if not counts:
        raise NotFoundError(f"Study {study.name!r} has no experiments yet.", "retrain --tune")
    best = next(iter(registry.best(study)), None)
    provenance = best.provenance if best is not None else None
    baseline = None
    if provenance is not None:
        baseline = find_configuration(registry, study, provenance, study.baseline)
    gain = None
    if best is not None and baseline is not None and baseline.id != best.id:
        gain = improvement(registry, study, best, baseline, against="baseline", folds=folds)
    return TuneReport(
        study=study,
        methods=tuple(
            MethodProgress(method, n, next(iter(registry.best(study, 1, provenance, method=method)), None))
            for method, n in counts.items()
        ),
        best=best,
        gain=gain,
        front=tuple(registry.front(study, provenance)) if study.goals.objectives else (),
        n_infeasible=registry.n_infeasible(study, provenance),
        events=tuple(registry.events(_N_EVENTS)),
    )


def report_on(config: Lookup, output: str = "table", *, flags: str = "", colour: bool = False) -> str:
    """Return the report on the configured study as text.

    Raises:
        NotFoundError: there is no registry, no such study, or nothing in it.
    """
    with open_registry(config.db, create=False, read_only=True) as registry:
        study = get_study(registry, config.study_name)
        report = tune_report(registry, study, folds=config.folds)
    return tune_report_text(report, output, flags=flags, colour=colour)


def tune_report_text(
    report: TuneReport, output: str = "table", *, flags: str = "", colour: bool = False
) -> str:
    """Return a report as text; `flags` are repeated in the command it suggests."""
    study = report.study
    rows = [
        {
            "method": each.method,
            **{state.value: each.counts[state] for state in State},
            "best": each.best and each.best.value,
        }
        for each in report.methods
    ]
    columns = ["method", *(state.value for state in State), "best"]
    if output == "csv":
        return render(rows, columns, "csv")
    if output == "json":
        return to_json(
            {
                "study": study.name,
                "metric": study.metric,
                "direction": study.direction.value,
                "methods": rows,
                "best": report.best and {"id": report.best.public_id, "value": report.best.value},
                "improvement": report.gain and improvement_json(report.gain),
                **(
                    {"front": [each.public_id for each in report.front], "n_infeasible": report.n_infeasible}
                    if study.goals
                    else {}
                ),
                "events": [{**_event(each), "salience": each.salience} for each in report.events],
            }
        )
    page = Page(output, colour)
    page.table(f"Study {study.name}: {study.metric}, {study.direction}", rows, columns)
    page.lines("Pareto front so far" if report.front else "Best so far", *_best_lines(report))
    page.lines("Latest events", *(f"{timestamp(each.at)}  {each.message}" for each in report.events))
    n_open = sum(each.counts[State.WAITING] + each.counts[State.RUNNING] for each in report.methods)
    if n_open:
        page.verbatim(f"{n_open} still to run", f"orchestrator{flags}")
    return page.text()


def _best_lines(report: TuneReport) -> list[str]:
    broken = [f"{report.n_infeasible} broke a limit."] if report.n_infeasible else []
    if report.front:
        metrics = report.study.goals.objectives
        return [
            *(
                f"{each.public_id}  {report.study.metric} {plus_minus(each.value, each.std_error)}, "
                + ", ".join(f"{one.metric} {number(each.metrics[one.metric])}" for one in metrics)
                for each in report.front
            ),
            *broken,
        ]
    if report.best is None:
        return broken or ["None yet: no experiment is complete."]
    head = f"{report.best.public_id}  {plus_minus(report.best.value, report.best.std_error)}"
    return [head, *(improvement_lines(report.gain) if report.gain else []), *broken]


def _event(event: Event) -> dict[str, Any]:
    return {"at": timestamp(event.at), "what": event.message, "kind": event.kind}
