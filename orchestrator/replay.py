"""`orchestrator replay`: an experiment again, from what is stored of it. Writes nothing.

Where it does not come out the same, what else differs from then is named: the data, the code, the definition
of the metric, the libraries. Where nothing does, it is run once more, to tell a pipeline that never gives the
same twice from one that hangs on something nobody recorded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from orchestrator.pool import Task
from orchestrator.worker import run_task
from retrain.best import find_named
from retrain.code_version import library_versions
from retrain.config import Config
from retrain.page import Page
from retrain.phases import searching
from retrain.pipeline import Pipeline
from retrain.pipelines import load_pipeline
from retrain.tables import number, render, to_json
from tuner.errors import UsageError
from tuner.experiment import Evaluation, Experiment, Failure, Measurement, Outcome, Partial, Provenance
from tuner.registry import open_registry
from tuner.registry.base import Run

__all__ = ["TOLERANCE", "Replay", "Sameness", "replay", "replay_text"]

TOLERANCE = 1e-6
"""Relative: what the order of a sum changes on another processor, or in another release of a library."""

_NOT_OF_THE_PIPELINE = (Outcome.TIMEOUT, Outcome.WORKER_LOST, Outcome.OUT_OF_MEMORY, Outcome.CANCELLED)
_FIGURES = ["step", "then", "now", "difference"]

Tell = Callable[[str], None]


class Sameness(StrEnum):
    """How an experiment came out again."""

    IDENTICAL = "identical"
    WITHIN = "within tolerance"
    DIVERGED = "diverged"


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it.

    Attributes:
        experiment: public id.
        verdict: IDENTICAL where value and every report are equal to the last bit, or the error is the same.
        then, now: the value, or the error in words.
        tolerance: relative, of the value and of every report.
        reports: (step, then, now) of the metric; None where one was not reported.
        differs: what is otherwise than then, one sentence each.
        why: of DIVERGED, in one sentence.
    """

    experiment: str
    verdict: Sameness
    then: float | str
    now: float | str
    tolerance: float
    reports: tuple[tuple[int, float | None, float | None], ...]
    differs: tuple[str, ...]
    why: str = ""

    @property
    def exit_code(self) -> int:
        """1 where it diverged."""
        return int(self.verdict is Sameness.DIVERGED)


def replay(config: Config, prefix: str, *, tolerance: float = TOLERANCE, tell: Tell) -> Replay:
    """Run the experiment whose id starts with `prefix` again, in this process, with its parameters and seed.

    Args:
        config: names the pipeline and the registry, which is read only.
        prefix: also "best".
        tolerance: relative, >= 0.
        tell: hears what is being done, before what takes long.

    Raises:
        NotFoundError: no experiment does, or several do.
        UsageError: it has no result that the pipeline alone brought about.
    """
    with open_registry(config.db, create=False, read_only=True) as registry:
        experiment = find_named(registry, config.study_name, prefix)
        measured = registry.measurements(experiment)
        run = registry.find_run(experiment)
    _check(experiment)
    pipeline = load_pipeline(searching(config))
    tell(f"running {experiment.public_id} again ...")
    pipeline.use(pipeline.load())
    scored_otherwise = _otherwise(experiment.provenance, pipeline.provenance())
    other_libraries = _other_libraries(run)
    result = _run(pipeline, experiment)
    then, reports = _figures(pipeline.metric, experiment, measured)
    now, reports_now = _outcome(pipeline.metric, result)
    steps = {step: (reports.get(step), reports_now.get(step)) for step in sorted({*reports, *reports_now})}
    verdict = _compare([(then, now), *steps.values()], tolerance)
    why = ""
    if verdict is Sameness.DIVERGED:
        why = _why(pipeline, experiment, now, scored_otherwise, other_libraries, tell)
    return Replay(
        experiment.public_id,
        verdict,
        then,
        now,
        tolerance,
        tuple((step, *pair) for step, pair in steps.items()),
        (*scored_otherwise, *other_libraries),
        why,
    )


def _check(experiment: Experiment) -> None:
    if experiment.value is not None:
        return
    if not experiment.state.finished or experiment.outcome in (None, *_NOT_OF_THE_PIPELINE):
        how = experiment.outcome or experiment.state
        raise UsageError(
            f"Only what a pipeline ended by itself can be replayed, but {experiment.public_id} is {how}.",
            "List the others with: orchestrator ls --state complete",
        )


def _run(pipeline: Pipeline, experiment: Experiment) -> Evaluation | Failure:
    task = Task(experiment.public_id, experiment.params, experiment.seed, tuning=True)
    result = run_task(pipeline, task, lambda _report: None)
    assert not isinstance(result, Partial), "nothing is pruned here"
    return result


def _figures(
    metric: str, experiment: Experiment, measured: Iterable[Measurement]
) -> tuple[float | str, dict[int, float]]:
    value = experiment.value
    then = f"{experiment.outcome}: {experiment.error}" if value is None else value
    return then, {each.step: each.value for each in measured if each.metric == metric}


def _outcome(metric: str, result: Evaluation | Failure) -> tuple[float | str, dict[int, float]]:
    now = f"{result.outcome}: {result.message}" if isinstance(result, Failure) else result.value
    return now, {each.step: each.value for each in result.measurements if each.metric == metric}


def _compare(pairs: Iterable[tuple[Any, Any]], tolerance: float) -> Sameness:
    found = list(pairs)
    if all(then == now for then, now in found):
        return Sameness.IDENTICAL
    if all(_is_close(then, now, tolerance) for then, now in found):
        return Sameness.WITHIN
    return Sameness.DIVERGED


def _is_close(then: Any, now: Any, tolerance: float) -> bool:
    if isinstance(then, float) and isinstance(now, float):
        return abs(now - then) <= tolerance * max(abs(then), abs(now))
    return bool(then == now)


# ---- what differs, and why


def _otherwise(then: Provenance | None, now: Provenance) -> list[str]:
    if then is None:
        return []
    names = {"data": "the data", "code": "the code", "metric": "the definition of the metric"}
    pairs = ((name, getattr(then, field), getattr(now, field)) for field, name in names.items())
    return [f"{name}: {old or 'none'} then, {new or 'none'} now" for name, old, new in pairs if old != new]


def _other_libraries(run: Run | None) -> list[str]:
    """Versions that are not those of the run that wrote it; what it did not record counts for nothing."""
    if run is None:
        return []
    recorded: Mapping[str, str] = run.info.get("libraries") or {}
    then, now = {**recorded, "python": run.info.get("python")}, library_versions()
    changed = [
        f"{name} {old} then, {now.get(name, 'missing')} now"
        for name, old in then.items()
        if old and old != now.get(name)
    ]
    return [f"the libraries: {', '.join(changed)}"] if changed else []


def _why(
    pipeline: Pipeline,
    experiment: Experiment,
    now: float | str,
    scored_otherwise: Sequence[str],
    other_libraries: Sequence[str],
    tell: Tell,
) -> str:
    if scored_otherwise:
        kinds = [each.partition(":")[0] for each in (*scored_otherwise, *other_libraries)]
        return f"not the same as then: {', '.join(kinds)}"
    tell("data and code are the same, but the result is not: running it once more ...")
    again, _ = _outcome(pipeline.metric, _run(pipeline, experiment))
    if again != now:
        return (
            f"the pipeline is not deterministic: with seed {experiment.seed} it gave {_shown(now)} and then"
            f" {_shown(again)}"
        )
    if other_libraries:
        return "data and code are the same, and it gives the same twice here: the libraries are not"
    return (
        "nothing that is recorded differs, and it gives the same twice here: look at what is not recorded,"
        " such as the machine, environment variables, files that it reads, or the time of day"
    )


def _shown(value: float | str) -> str:
    return repr(value) if isinstance(value, float) else value


def replay_text(found: Replay, output: str = "table", *, colour: bool = False) -> str:
    """Return what came of it as text. CSV holds the reports, JSON everything."""
    rows = [
        {
            "step": step,
            "then": then,
            "now": now,
            "difference": None if then is None or now is None else now - then,
        }
        for step, then, now in found.reports
    ]
    if output == "json":
        return to_json({**asdict(found), "verdict": found.verdict.value, "reports": rows})
    if output == "csv":
        return render([{"step": "value", "then": found.then, "now": found.now}, *rows], _FIGURES, "csv")
    page = Page(output, colour)
    how = f" {found.tolerance:g}" if found.verdict is Sameness.WITHIN else ""
    both = [f"then  {_shown(found.then)}", f"now   {_shown(found.now)}"]
    page.lines(f"{found.experiment}: {found.verdict}{how}", *both)
    if found.verdict is not Sameness.IDENTICAL:
        shown = [{**row, "difference": _signed(row["difference"])} for row in rows]
        page.table("Reports", shown, _FIGURES, keys=("step",))
    page.lines("Otherwise than then", *found.differs)
    page.lines("Why", *([found.why] if found.why else []))
    return page.text()


def _signed(difference: float | None) -> str:
    return "" if difference is None else f"{'+' if difference > 0 else ''}{number(difference)}"
