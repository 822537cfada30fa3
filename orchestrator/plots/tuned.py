"""Default against tuned: the two scores beside each other, with intervals, one row for each way to score.

`Pair` and `draw` know nothing of a study, so that any two scores can be compared in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.plots.canvas import BLUE, DARK, ORANGE, Canvas
from orchestrator.plots.rows import metric_label, shortened
from retrain.confirmed import Confirmed, find_look
from retrain.honest import LEVEL, confirmed
from retrain.metrics import is_share
from retrain.stats import t_quantile
from retrain.tables import number
from retrain.tune_rows import tuned_on
from tuner.errors import NotFoundError
from tuner.experiment import Experiment, Study
from tuner.registry.base import HoldoutRead, RegistryReader

__all__ = ["Mark", "Pair", "Pairs", "draw", "prepare"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A score and its interval, where one is known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One row: what was scored, and both scores; either may be unknown."""

    label: str
    default: Mark | None
    tuned: Mark | None


@dataclass(frozen=True, slots=True)
class Pairs:
    """The picture as data. `label` is the axis of all scores."""

    title: str
    label: str
    pairs: tuple[Pair, ...]
    note: str


def prepare(
    registry: RegistryReader,
    study: Study,
    baseline: Experiment | None,
    tuned: Experiment | None,
    outcome: Confirmed | None,
    *,
    pipeline: str,
    folds: int | None = None,
) -> Pairs:
    """Gather what is drawn.

    Args:
        registry: where repeats and looks at the holdout are.
        study: with one objective.
        baseline: its reference, with a result.
        tuned: the winner, or the best.
        outcome: of the latest confirmation.
        pipeline: whose looks at the holdout count.
        folds: of one cross-validation, where known.

    Raises:
        NotFoundError: one of the two has no result yet.
    """
    if baseline is None or tuned is None or baseline.provenance is None:
        what = "the baseline has no result" if tuned is not None else "nothing keeps the limits of the study"
        raise NotFoundError(
            f"There is nothing to plot yet: in study {study.name!r} {what}.",
            "Run more: orchestrator --method bayesian --configs 20",
        )
    part = tuned_on(tuned.provenance)
    how = "cross-validated" if part is None else f"cross-validated ({part.removeprefix('tuned on ')})"
    pairs = [Pair(how, _validated(baseline, folds), _validated(tuned, folds))]
    if outcome is not None:
        mark = Mark(outcome.estimate.mean, outcome.estimate.low, outcome.estimate.high)
        pairs.append(Pair("confirmed on fresh folds", _reference(registry, study, outcome), mark))
    looks = [find_look(registry, pipeline, baseline.provenance, each.params) for each in (baseline, tuned)]
    if any(looks):
        pairs.append(Pair("holdout", *(_held_out(look, study.metric) for look in looks)))
    same = "; the tuned one is the default" if baseline.id == tuned.id else ""
    return Pairs(
        f"Default against tuned: {study.name}",
        metric_label(study.metric, study.direction),
        tuple(Pair(each.label, _cut(study, each.default), _cut(study, each.tuned)) for each in pairs),
        f"tuned: {tuned.public_id}{same}; lines: 95 % intervals, where known",
    )


def _validated(experiment: Experiment, folds: int | None) -> Mark:
    assert experiment.value is not None
    if not experiment.std_error:
        return Mark(experiment.value)
    reach = t_quantile((1 + LEVEL) / 2, (folds or 5) - 1) * experiment.std_error
    return Mark(experiment.value, experiment.value - reach, experiment.value + reach)


def _reference(registry: RegistryReader, study: Study, outcome: Confirmed) -> Mark | None:
    public_id = outcome.plan.references.get("baseline")
    if public_id is None:
        return None
    race = outcome.plan.race(study.direction, registry.confirmations(study, outcome.plan.provenance))
    runs = race.runs_of(public_id, len(outcome.plan.seeds))
    if not runs:
        return None
    estimate = confirmed(runs, study.direction, folds=outcome.plan.folds)
    return Mark(estimate.mean, estimate.low, estimate.high)


def _cut(study: Study, mark: Mark | None) -> Mark | None:
    """Without what of an interval lies beyond the ends of the metric's range."""
    if mark is None or mark.low is None or mark.high is None or not is_share(study.metric):
        return mark
    return replace(mark, low=max(mark.low, 0.0), high=min(mark.high, 1.0)) if 0 <= mark.value <= 1 else mark


def _held_out(look: HoldoutRead | None, metric: str) -> Mark | None:
    name = f"test_{metric}"
    if look is None or name not in look.metrics:
        return None
    return Mark(look.metrics[name], *look.intervals.get(name, (None, None)))


def draw(data: Pairs) -> Canvas:
    """Draw it."""
    canvas = Canvas(8.0, 1.7 + 0.75 * len(data.pairs), data.title, data.note)
    with canvas.drawing() as figure:
        axes = figure.subplots()
        for i, pair in enumerate(data.pairs):
            if pair.default is not None and pair.tuned is not None:
                axes.plot(
                    [pair.default.value, pair.tuned.value], [i - 0.12, i + 0.12], color="#BBBBBB", zorder=1
                )
        _marks(canvas, axes, data, [each.default for each in data.pairs], -0.12, ORANGE, "s", "default")
        _marks(canvas, axes, data, [each.tuned for each in data.pairs], 0.12, BLUE, "o", "tuned")
        axes.set_yticks(range(len(data.pairs)), [shortened(each.label, 34) for each in data.pairs])
        axes.set_ylim(len(data.pairs) - 0.5, -0.5)
        axes.set_xlabel(data.label)
        axes.margins(x=0.12)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    return canvas


def _marks(
    canvas: Canvas,
    axes: Any,
    data: Pairs,
    marks: Sequence[Mark | None],
    aside: float,
    colour: str,
    shape: str,
    name: str,
) -> None:
    known = [(i + aside, each) for i, each in enumerate(marks) if each is not None]
    for place, each in known:
        if each.low is not None and each.high is not None:
            axes.plot(
                [each.low, each.high], [place, place], color=colour, linewidth=2.2, alpha=0.55, zorder=2
            )
        axes.annotate(
            number(each.value, 4), (each.value, place), (0, -6 if aside > 0 else 6),
            textcoords="offset points", ha="center", va="top" if aside > 0 else "bottom", fontsize=7.5,
            color=DARK,
        )  # fmt: skip
    tips = [
        f"{name}, {data.pairs[round(place - aside)].label}: {number(each.value)}" for place, each in known
    ]
    canvas.dots(
        axes, [each.value for _, each in known], [place for place, _ in known], tips,
        s=52, marker=shape, color=colour, label=name, zorder=3,
    )  # fmt: skip
