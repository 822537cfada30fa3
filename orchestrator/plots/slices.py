"""Slices: the metric over each parameter by itself."""

from dataclasses import dataclass

from orchestrator.plots.canvas import COLOURS, RED, Canvas, count_on
from orchestrator.plots.rows import Rows, metric_label, searched, shortened, thinned
from orchestrator.plots.scale import INACTIVE, Scale
from orchestrator.plots.span import Span, span_of

__all__ = ["Slice", "Slices", "draw", "prepare"]

_MOST = 1000
_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Slice:
    """One parameter: its scale, and (place on it, value, order, tip) of the experiments that have it.

    Experiments of one category lie a little beside each other; values beyond the span are at its edge.
    """

    scale: Scale
    marks: tuple[tuple[float, float, int, str], ...]
    best: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Slices:
    """The picture as data."""

    title: str
    label: str
    slices: tuple[Slice, ...]
    span: Span
    last: int
    note: str


def prepare(rows: Rows) -> Slices:
    """Gather what is drawn."""
    points = thinned([each for each in rows.complete if each.value is not None], _MOST, rows.sign)
    values = [each.value for each in points if each.value is not None]
    span = span_of(values, rows.sign, rows.always)
    slices = []
    for param in searched(rows.study, points):
        scale = Scale.of(param)
        marks = []
        best = None
        for point in points:
            place = scale.place_in(point.experiment.params)
            if point.value is None or place == INACTIVE:
                continue
            place += _aside(point.order, len(scale.choices))
            marks.append((place, span.clamped(point.value), point.order, point.tip))
            if rows.best is not None and point.experiment.id == rows.best.experiment.id:
                best = (place, point.value)
        slices.append(Slice(scale, tuple(marks), best))
    note = rows.note_of_complete(len(points)) + span.note(values)
    label = metric_label(rows.study.metric, rows.study.direction)
    last = max((each.order for each in points), default=1)
    return Slices(f"Slices of {rows.study.name}", label, tuple(slices), span, last, note)


def _aside(order: int, n_choices: int) -> float:
    """Moves an experiment within a third of the room of its category, the same way each time."""
    if not n_choices:
        return 0.0
    golden = (order * 0.6180339887) % 1 - 0.5
    return golden * 0.35 / max(1, n_choices - 1)


def draw(data: Slices) -> Canvas:
    """Draw it."""
    columns = min(_COLUMNS, max(1, len(data.slices)))
    rows = -(-len(data.slices) // columns) or 1
    canvas = Canvas(max(5.5, 1.2 + 2.5 * columns), 1.2 + 2.35 * rows, data.title, data.note)
    with canvas.drawing() as figure:
        every = figure.subplots(rows, columns, sharey=True, squeeze=False)
        drawn = None
        for axes, each in zip(every.flat, data.slices, strict=False):
            drawn = canvas.dots(
                axes,
                [mark[0] for mark in each.marks],
                [mark[1] for mark in each.marks],
                [mark[3] for mark in each.marks],
                c=[mark[2] for mark in each.marks],
                cmap=COLOURS,
                vmin=1,
                vmax=max(2, data.last),
                s=16,
                linewidths=0,
                zorder=3,
            ) or drawn  # fmt: skip
            if each.best is not None:
                axes.scatter(*each.best, s=90, facecolors="none", edgecolors=RED, linewidths=1.6, zorder=4)
            ticks = each.scale.ticks()
            words = [text for _, text in ticks]
            tilted = sum(map(len, words)) > 26
            axes.set_xticks(
                [place for place, _ in ticks], words, fontsize=7,
                **({"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if tilted else {}),
            )  # fmt: skip
            axes.set_xlim(*((-0.25, 1.25) if each.scale.choices else (-0.1, 1.1)))
            axes.set_ylim(*data.span)
            axes.grid(axis="y")
            axes.set_xlabel(shortened(each.scale.name) + (" (log)" if each.scale.log else ""))
        for axes in list(every.flat)[len(data.slices) :]:
            axes.set_visible(False)
        figure.supylabel(data.label, fontsize=9)
        if drawn is not None and data.last > 1:
            scale = figure.colorbar(drawn, ax=every, label="experiment (order)", fraction=0.03, pad=0.01)
            count_on(scale.ax.yaxis)
    return canvas
