"""The Pareto front: what more of one objective costs in another, for each two of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

from orchestrator.plots.canvas import BLUE, DARK, GREY, ORANGE, RED, Canvas
from orchestrator.plots.rows import Point, Rows, metric_label, thinned
from orchestrator.plots.span import Span, span_of
from retrain.tables import number
from tuner.errors import NotFoundError, UsageError
from tuner.experiment import Direction, Experiment, Params

__all__ = ["Axis", "Front", "Mark", "draw", "prepare"]

_MOST = 2000
_MOST_NUMBERS = 15


@dataclass(frozen=True, slots=True)
class Axis:
    """One objective; `sign` is 1 where more of it is better, -1 where less is."""

    label: str
    sign: int
    span: Span


@dataclass(frozen=True, slots=True)
class Mark:
    """One experiment.

    Attributes:
        values: of every objective, in the order of the axes.
        rank: its number on the front, as `--summary` has it; 0 where it is not on it.
        feasible: whether it keeps the limits.
    """

    values: tuple[float, ...]
    tip: str
    rank: int = 0
    feasible: bool = True


@dataclass(frozen=True, slots=True)
class Front:
    """The picture as data.

    Attributes:
        axes: the study's own metric, then the further objectives.
        marks: the experiments, those of the front last, by rank.
        baseline, deployed: where these are, if they were scored.
    """

    title: str
    axes: tuple[Axis, ...]
    marks: tuple[Mark, ...]
    baseline: tuple[float, ...] | None
    deployed: tuple[float, ...] | None
    note: str

    @property
    def front(self) -> tuple[Mark, ...]:
        """Those on it."""
        return tuple(each for each in self.marks if each.rank)

    def stairs(self, x: int, y: int) -> list[tuple[float, float]]:
        """The corners of the border between what was reached and what was not, with two objectives alone."""
        across, up = self.axes[x], self.axes[y]
        # The value of y that was reached for no more than so much of x changes where the next of them stands.
        corners = sorted((each.values[x], each.values[y]) for each in self.front)
        steps: list[tuple[float, float]] = []
        for (x1, y1), (x2, y2) in pairwise(corners):
            steps += [(x1, y1), (x2, y1) if across.sign < 0 else (x1, y2)]
        steps += corners[-1:]
        worst_x, worst_y = (each.span[0 if each.sign > 0 else 1] for each in (across, up))
        if steps and across.sign < 0:
            return [(steps[0][0], worst_y), *steps, (worst_x, steps[-1][1])]
        return [(worst_x, steps[0][1]), *steps, (steps[-1][0], worst_y)] if steps else []


def prepare(rows: Rows, front: Sequence[Experiment], deployed: Params | None = None) -> Front:
    """Gather what is drawn.

    Args:
        rows: of a study with several objectives.
        front: those on it, in the order of their ranks.
        deployed: the hyperparameters in production now, where known.

    Raises:
        UsageError: there is one objective alone.
        NotFoundError: no experiment has a value of each.
    """
    if not rows.study.goals.objectives:
        raise UsageError(
            f"Study {rows.study.name!r} has one objective, so there is a best one and no front.",
            "See how the best came to be: orchestrator plot convergence",
        )
    objectives = rows.study.goals.objectives
    metrics = {rows.study.metric: rows.study.direction} | {each.metric: each.direction for each in objectives}
    ranks = {each.id: rank for rank, each in enumerate(front, 1)}

    def values_of(point: Point) -> tuple[float, ...] | None:
        own = {**point.experiment.metrics, rows.study.metric: point.value}
        found = [value for name in metrics if (value := own.get(name)) is not None]
        return tuple(found) if len(found) == len(metrics) else None

    known = [each for each in rows.complete if values_of(each)]
    if not known:
        raise NotFoundError(
            f"There is nothing to plot yet: no experiment of study {rows.study.name!r} has a value of each"
            " objective.",
            "orchestrator ls",
        )
    on = [each for each in known if each.experiment.id in ranks]
    off = thinned([each for each in known if each.experiment.id not in ranks], _MOST, rows.sign)
    marks = []
    for each in [*off, *sorted(on, key=lambda point: ranks[point.experiment.id])]:
        values = values_of(each)
        assert values is not None
        told = [f"{name} = {number(value)}" for name, value in zip(metrics, values, strict=True)][1:]
        tip = "\n".join([*each.tip.splitlines()[:2], *told, *each.tip.splitlines()[2:]])
        marks.append(Mark(values, tip, ranks.get(each.experiment.id, 0), each.experiment.feasible))
    baseline = None if rows.baseline is None else values_of(rows.baseline)
    in_use = [
        each for each in known if deployed is not None and dict(each.experiment.params) == dict(deployed)
    ]
    now = values_of(in_use[-1]) if in_use else None
    always = [each.values for each in marks if each.rank] + [each for each in (baseline, now) if each]
    axes = []
    for i, (name, direction) in enumerate(metrics.items()):
        sign = 1 if direction is Direction.MAXIMIZE else -1
        span = span_of([each.values[i] for each in marks], sign, [each[i] for each in always])
        axes.append(Axis(metric_label(name, direction), sign, span))
    spans = [each.span for each in axes]
    beyond = sum(not all(map(Span.holds, spans, each.values)) for each in marks)
    note = rows.note_of_complete(len(marks))
    note += f"; {beyond} worse than the scale stand{'s' if beyond == 1 else ''} at its edge" if beyond else ""
    if 0 < len(ranks) <= _MOST_NUMBERS:
        note += "; numbers as in orchestrator --summary"
    return Front(f"Pareto front of {rows.study.name}", tuple(axes), tuple(marks), baseline, now, note)


def draw(data: Front) -> Canvas:
    """Draw it: two objectives in one field, more of them in a field for each pair."""
    n = len(data.axes) - 1
    canvas = Canvas(7.5 if n == 1 else 1.5 + 3.2 * n, 5.5 if n == 1 else 1.2 + 2.7 * n, data.title, data.note)
    with canvas.drawing() as figure:
        fields = figure.subplots(n, n, squeeze=False, sharex="col", sharey="row")
        for x, y in combinations(range(n + 1), 2):
            # With two, the study's own metric goes up, over what it costs.
            across, up = (y, x) if n == 1 else (x, y)
            _draw_pair(canvas, fields[y - 1][x], data, across, up)
            fields[y - 1][x].label_outer()
        for row in range(n):
            for axes in fields[row][row + 1 :]:
                axes.set_axis_off()
        # Beside the fields where there is room, above the only one else.
        beside = {"loc": "center"} if n > 1 else {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "ncols": 5}
        fields[0][-1].legend(
            *fields[-1][0].get_legend_handles_labels(),
            borderaxespad=0.2, handletextpad=0.4, columnspacing=1.2, **beside,
        )  # fmt: skip
    return canvas


def _draw_pair(canvas: Canvas, axes: Any, data: Front, x: int, y: int) -> None:
    axes.grid()
    axes.set_axisbelow(True)
    spans = data.axes[x].span, data.axes[y].span
    kinds: tuple[tuple[str, list[Mark], dict[str, Any]], ...] = (
        (
            "not on the front",
            [each for each in data.marks if each.feasible and not each.rank],
            {"color": GREY, "alpha": 0.6, "linewidths": 0, "s": 20},
        ),
        (
            "breaks a limit",
            [each for each in data.marks if not each.feasible],
            {"color": GREY, "marker": "x", "alpha": 0.7, "linewidths": 1, "s": 20},
        ),
        ("front", list(data.front), {"color": BLUE, "linewidths": 0, "s": 40, "zorder": 5}),
    )
    for label, marks, style in kinds:
        across = [spans[0].clamped(each.values[x]) for each in marks]
        up = [spans[1].clamped(each.values[y]) for each in marks]
        tips = [each.tip for each in marks]
        canvas.dots(axes, across, up, tips, label=label, **{"zorder": 3, "clip_on": False, **style})
    if len(data.axes) == 2:
        axes.plot(*zip(*data.stairs(x, y), strict=True), color=DARK, linewidth=1.3, zorder=4)
    for name, place, colour, shape in (
        ("baseline", data.baseline, ORANGE, "s"),
        ("deployed", data.deployed, RED, "o"),
    ):
        if place is not None:
            axes.scatter(
                place[x], place[y], s=110, marker=shape, facecolors="none", edgecolors=colour, linewidths=1.8,
                label=name, zorder=6,
            )  # fmt: skip
    if len(data.front) <= _MOST_NUMBERS:
        right, above = data.axes[x].sign > 0, data.axes[y].sign > 0  # on the side where nothing was reached
        for each in data.front:
            axes.annotate(
                str(each.rank), (each.values[x], each.values[y]), (5 if right else -5, 4 if above else -4),
                textcoords="offset points", ha="left" if right else "right",
                va="bottom" if above else "top", fontsize=7.5, color=BLUE, zorder=7,
            )  # fmt: skip
    axes.set_xlim(*spans[0])
    axes.set_ylim(*spans[1])
    axes.set_xlabel(data.axes[x].label)
    axes.set_ylabel("\n(".join(data.axes[y].label.rsplit(" (", 1)))
