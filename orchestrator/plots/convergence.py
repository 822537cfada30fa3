"""How the best came to be: every experiment in its order, and the best so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from orchestrator.plots.canvas import BLUE, DARK, GREY, ORANGE, RED, Canvas, count_on
from orchestrator.plots.rows import Point, Rows, metric_label, thinned
from orchestrator.plots.span import Span, span_of
from tuner.experiment import Direction, loss_of

__all__ = ["Convergence", "Panel", "draw", "prepare"]

_MOST = 2000


@dataclass(frozen=True, slots=True)
class Panel:
    """One scale over the order of experiments.

    Attributes:
        label: of the scale.
        points: (order, value, the experiment) of the complete: what was pruned has no value to compare.
        best: (order, best so far), one where it changes, and one at the end.
        baseline: value of the baseline.
        span: what of the scale is shown; what is beyond stands at its edge.
    """

    label: str
    points: tuple[tuple[int, float, Point], ...]
    best: tuple[tuple[int, float], ...]
    baseline: float | None
    span: Span


@dataclass(frozen=True, slots=True)
class Convergence:
    """The picture as data.

    Attributes:
        panels: one for the metric, or for several objectives: of their hypervolume, then of each.
        failed: the experiments that have no value.
        pruned: those that were stopped, of which it is known where.
        note: what is shown, in words.
    """

    title: str
    panels: tuple[Panel, ...]
    failed: tuple[Point, ...]
    pruned: tuple[Point, ...]
    note: str


def prepare(rows: Rows) -> Convergence:
    """Gather what is drawn. With several objectives the first panel has the hypervolume of the front.

    It is the share of the box between the worst and the best that was seen of each objective.
    """
    study = rows.study
    end = max((each.order for each in (*rows.complete, *rows.pruned, *rows.failed)), default=1)
    panels = [_panel(study.metric, study.direction, rows, end, lambda point: point.value)]
    panels += [
        _panel(each.metric, each.direction, rows, end, partial(_metric, each.metric))
        for each in study.goals.objectives
    ]
    if study.goals.objectives:
        panels.insert(0, _hypervolume(rows, end))
    stopped = [each for each in rows.pruned if each.experiment.stop is not None]
    pruned = tuple(thinned(stopped, _MOST, rows.sign))
    return Convergence(f"Convergence of {study.name}", tuple(panels), rows.failed, pruned, rows.note)


def _metric(name: str, point: Point) -> float | None:
    return point.experiment.metrics.get(name)


def _panel(
    metric: str, direction: Direction, rows: Rows, end: int, value_of: Callable[[Point], float | None]
) -> Panel:
    sign = 1 if direction is Direction.MAXIMIZE else -1
    valued = [(each, value) for each in rows.complete if (value := value_of(each)) is not None]
    best: list[tuple[int, float]] = []
    for point, value in valued:
        if point.experiment.feasible and (not best or sign * value > sign * best[-1][1]):
            best.append((point.order, value))
    if best and best[-1][0] < end:
        best.append((end, best[-1][1]))
    baseline = None if rows.baseline is None else value_of(rows.baseline)
    shown = {each.order for each in thinned([each for each, _ in valued], _MOST, rows.sign)}
    always = [] if baseline is None else [baseline]
    return Panel(
        metric_label(metric, direction),
        tuple((each.order, value, each) for each, value in valued if each.order in shown),
        tuple(best),
        baseline,
        span_of([value for _, value in valued], sign, always),
    )


def _hypervolume(rows: Rows, end: int) -> Panel:
    import numpy as np

    from tuner.generators.bayesian.pareto import hypervolume

    goals, direction = rows.study.goals, rows.study.direction
    losses: list[tuple[int, tuple[float, ...]]] = []
    for each in rows.complete:
        further = goals.losses(each.experiment.metrics)
        if each.value is not None and further is not None and each.experiment.feasible:
            losses.append((each.order, (loss_of(each.value, direction), *further)))
    best: list[tuple[int, float]] = []
    if losses:
        known = np.array([loss for _, loss in losses])
        low, high = known.min(axis=0), known.max(axis=0)
        unit = (known - low) / np.where(high > low, high - low, 1.0)
        front: list[np.ndarray] = []
        for (order, _), row in zip(losses, unit, strict=True):
            if any((other <= row).all() for other in front):
                continue
            front = [other for other in front if not (row <= other).all()] + [row]
            # A little beyond the worst, so that the worst of one objective counts for the others.
            volume = hypervolume(np.array(front), np.full(unit.shape[1], 1.1)) / 1.1 ** unit.shape[1]
            best.append((order, volume))
        if best[-1][0] < end:
            best.append((end, best[-1][1]))
    return Panel(
        "hypervolume of the front\n(share of what was seen)", (), tuple(best), None, Span((0.0, 1.0))
    )


def draw(data: Convergence) -> Canvas:
    """Draw it."""
    n = len(data.panels)
    heights = [5.0] * n + ([1.0] if data.pruned else [])
    canvas = Canvas(9.0, 5.0 if n == 1 else 1.2 + 2.6 * n, data.title, data.note)
    with canvas.drawing() as figure:
        every = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        if data.pruned:
            _draw_pruned(canvas, every[-1], data.pruned)
        for axes, panel in zip(every, data.panels, strict=False):
            _draw_panel(canvas, axes, panel, data.failed if panel is data.panels[-1] else ())
        axes = every[-1]
        axes.set_xlabel("experiments finished (count)")
        count_on(axes.xaxis)
        ends = [each.order for each in (*data.failed, *data.pruned)]
        last = max([1, *ends, *(p[0] for one in data.panels for p in one.best)])
        axes.set_xlim(1 - max(0.5, last * 0.01), last + max(0.5, last * 0.01))
        handles = {
            label: handle
            for one in every
            for handle, label in zip(*one.get_legend_handles_labels(), strict=True)
        }
        every[0].legend(
            handles.values(), handles.keys(), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4,
            borderaxespad=0.2, handletextpad=0.4, columnspacing=1.4,
        )  # fmt: skip
    return canvas


def _draw_panel(canvas: Canvas, axes: Any, panel: Panel, failed: Sequence[Point]) -> None:
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.set_ylabel(panel.label)
    low, high = panel.span
    axes.set_ylim(low, high)
    inside = [each for each in panel.points if panel.span.holds(each[1])]
    kinds: tuple[tuple[str, list[tuple[int, float, Point]], dict[str, Any]], ...] = (
        (
            "complete",
            [p for p in inside if p[2].experiment.feasible],
            {"color": BLUE, "alpha": 0.75, "linewidths": 0},
        ),
        (
            "breaks a limit",
            [p for p in inside if not p[2].experiment.feasible],
            {"facecolors": "none", "edgecolors": GREY},
        ),
        (
            "worse than the scale",
            [(p[0], panel.span.clamped(p[1]), p[2]) for p in panel.points if p not in inside],
            {"color": BLUE, "marker": "v" if _worse_is_below(panel) else "^", "clip_on": False},
        ),
    )
    for label, points, style in kinds:
        x, y, tips = [p[0] for p in points], [p[1] for p in points], [p[2].tip for p in points]
        canvas.dots(axes, x, y, tips, s=22, label=label, zorder=3, **style)
    canvas.dots(
        axes, [each.order for each in failed], [low] * len(failed), [each.tip for each in failed],
        marker="x", color=RED, s=26, clip_on=False, label="failed", zorder=4,
    )  # fmt: skip
    if panel.best:
        axes.step(
            *zip(*panel.best, strict=True),
            where="post",
            color=DARK,
            linewidth=1.6,
            label="best so far",
            zorder=5,
        )
    if panel.baseline is not None:
        axes.axhline(panel.baseline, color=ORANGE, linestyle="--", linewidth=1.4, label="baseline", zorder=2)


def _draw_pruned(canvas: Canvas, axes: Any, pruned: Sequence[Point]) -> None:
    """A strip of their own, by how far they came: the mean of some folds is no score beside whole ones."""
    steps = [0 if each.experiment.stop is None else each.experiment.stop.step for each in pruned]
    canvas.dots(
        axes, [each.order for each in pruned], steps, [each.tip for each in pruned],
        s=18, marker="D", facecolors="none", edgecolors=GREY, label="pruned", zorder=3,
    )  # fmt: skip
    axes.set_ylabel("at step")
    axes.set_ylim(-0.2 * max([1, *steps]), 1.2 * max([1, *steps]))
    count_on(axes.yaxis, 3)
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def _worse_is_below(panel: Panel) -> bool:
    return "higher is better" in panel.label
