"""Learning curves: what experiments reported on the way, step by step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.plots.canvas import BLUE, GREY, ORANGE, RED, Canvas, count_on
from orchestrator.plots.rows import Point, Rows, metric_label, thinned
from orchestrator.plots.span import Span, span_of
from retrain.improvement import scores_of_folds
from tuner.errors import NotFoundError
from tuner.experiment import Measurement, State

__all__ = ["Curve", "Curves", "draw", "prepare"]

_MOST = 200


@dataclass(frozen=True, slots=True)
class Curve:
    """One experiment: its steps, rising, and the metric at each.

    `role` is "best", "baseline", "pruned", "failed" or "" for the others.
    """

    steps: tuple[int, ...]
    values: tuple[float, ...]
    role: str
    tip: str


@dataclass(frozen=True, slots=True)
class Curves:
    """The picture as data. `are_folds`: the steps are folds, which have no order, so no line joins them."""

    title: str
    label: str
    curves: tuple[Curve, ...]
    are_folds: bool
    span: Span
    note: str


def prepare(rows: Rows, measurements: Callable[[Point], Sequence[Measurement]]) -> Curves:
    """Gather what is drawn: of at most 200 experiments, half of them the best.

    Raises:
        NotFoundError: none reported the study's metric on the way.
    """
    metric = rows.study.metric
    points = thinned(sorted([*rows.scored, *rows.failed], key=lambda each: each.order), _MOST, rows.sign)
    curves, folds = [], []
    for point in points:
        measured = [each for each in measurements(point) if each.metric == metric]
        if not measured:
            continue
        measured.sort(key=lambda each: each.step)
        value = point.value
        if value is not None and point.experiment.state is State.COMPLETE:
            folds.append(bool(scores_of_folds(measured, metric, value)))
        steps, values = zip(*((each.step, each.value) for each in measured), strict=True)
        curves.append(Curve(steps, values, _role(rows, point), point.tip))
    if not curves:
        raise NotFoundError(
            f"There is nothing to plot yet: no experiment of study {rows.study.name!r} reported {metric!r}"
            " on the way.",
            "Have the pipeline call report(step, {metric: value}) after each round, epoch or fold.",
        )
    parts = [rows.note] + ([f"{len(points)} of them looked at"] if len(points) == _MOST else [])
    ends = [(min(each.values), max(each.values), each.role == "baseline") for each in curves]
    shown = [end for low, high, _ in ends for end in (low, high)]
    span = span_of(shown, rows.sign, [end for low, high, must in ends if must for end in (low, high)])
    n = sum(not (span.holds(low) and span.holds(high)) for low, high, _ in ends)
    parts += [f"{n} {'reaches' if n == 1 else 'reach'} beyond the scale"] if n else []
    return Curves(
        f"Learning curves of {rows.study.name}",
        metric_label(metric, rows.study.direction),
        tuple(sorted(curves, key=lambda each: _ORDER.index(each.role))),
        bool(folds) and all(folds),
        span,
        "; ".join(parts),
    )


_ORDER = ("failed", "", "pruned", "baseline", "best")
_STYLES = {
    "": ("complete", BLUE, 0.9, "-"),
    "failed": ("failed", GREY, 0.9, ":"),
    "pruned": ("pruned", RED, 1.0, "-"),
    "baseline": ("baseline", ORANGE, 2.2, "--"),
    "best": ("best", "#222222", 2.4, "-"),
}


def _role(rows: Rows, point: Point) -> str:
    if rows.best is not None and point.experiment.id == rows.best.experiment.id:
        return "best"
    if rows.baseline is not None and point.experiment.id == rows.baseline.experiment.id:
        return "baseline"
    state = point.experiment.state
    return "" if state is State.COMPLETE else str(state)


def draw(data: Curves) -> Canvas:
    """Draw it."""
    canvas = Canvas(9.0, 5.2, data.title, data.note)
    faint = 0.75 if len(data.curves) <= 20 else 0.35
    with canvas.drawing() as figure:
        axes = figure.subplots()
        told: set[str] = set()
        for each in data.curves:
            label, colour, width, style = _STYLES[each.role]
            alone = len(each.steps) == 1
            (line,) = axes.plot(
                each.steps,
                [data.span.clamped(value) for value in each.values] if data.are_folds else each.values,
                color=colour,
                linewidth=width,
                linestyle="none" if data.are_folds else style,
                marker="o" if data.are_folds or alone else None,
                markersize=6 if each.role in ("best", "baseline") else 4,
                markevery=None,
                alpha=1.0 if each.role in ("best", "baseline") else faint,
                label=None if label in told else label,
            )
            told.add(label)
            if data.are_folds:
                canvas.tell(line, [each.tip] * len(each.steps))
            else:
                canvas.tell(line, [each.tip])
            if each.role == "pruned":
                axes.plot(each.steps[-1], each.values[-1], "x", color=colour, markersize=6)
        axes.set_xlabel(
            "fold (number)" if data.are_folds else "step (round, epoch, sample or look, as reported)"
        )
        count_on(axes.xaxis)
        axes.set_ylabel(data.label)
        axes.set_ylim(*data.span)
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, borderaxespad=0.2, columnspacing=1.4)
    return canvas
