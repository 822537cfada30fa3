"""Parallel coordinates: one axis for each parameter and each objective, one line for each experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.plots.canvas import COLOURS, DARK, GREY, REVERSED, Canvas
from orchestrator.plots.rows import Rows, metric_label, searched, shortened, thinned
from orchestrator.plots.scale import INACTIVE, Scale
from orchestrator.plots.span import Span, span_of
from retrain.tables import number
from tuner.insight import Insight

__all__ = ["Line", "Parallel", "draw", "prepare"]

_MOST = 500
_MOST_PARAMETERS = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One experiment: its place on every axis, 0 to 1 (`INACTIVE` where it has no such parameter).

    `value` is the study's metric.
    """

    places: tuple[float, ...]
    value: float
    tip: str


@dataclass(frozen=True, slots=True)
class Parallel:
    """The picture as data.

    Attributes:
        axes: (name, [(place, text)]): the parameters, then the metrics.
        lines: the worst first, so that the better lie on top.
        best: the incumbent.
        span: which values of the metric its axis and the colours show.
        sign: 1 where more is better, -1 where less is; the better, the darker.
        has_inactive: whether some parameter is not in every configuration.
    """

    title: str
    axes: tuple[tuple[str, tuple[tuple[float, str], ...]], ...]
    lines: tuple[Line, ...]
    best: Line | None
    label: str
    span: Span
    sign: int
    has_inactive: bool
    note: str


def prepare(rows: Rows, insight: Insight | None = None) -> Parallel:
    """Gather what is drawn. Of more than twenty parameters the most important, as far as that is known."""
    study = rows.study
    chosen = thinned([each for each in rows.complete if each.value is not None], _MOST, rows.sign)
    params = searched(study, chosen)
    left_out = len(params) - _MOST_PARAMETERS
    if left_out > 0:
        ranks = {} if insight is None else {each.name: i for i, each in enumerate(insight.importances)}
        kept = sorted(params, key=lambda param: ranks.get(param["name"], len(ranks)))[:_MOST_PARAMETERS]
        params = [param for param in params if param in kept]
    scales = [Scale.of(param) for param in params]
    values = [each.value for each in chosen if each.value is not None]
    metrics = [(study.metric, span_of(values, rows.sign, rows.always, margin=0.0))]
    for goal in study.goals.objectives:
        known = [
            each.experiment.metrics[goal.metric] for each in chosen if goal.metric in each.experiment.metrics
        ]
        if known:
            metrics.append((goal.metric, Span((min(known), max(known)))))
    lines, best = [], None
    for each in sorted(chosen, key=lambda each: rows.sign * (each.value or 0.0)):
        assert each.value is not None
        numbers = {**each.experiment.metrics, study.metric: each.value}
        places = [scale.place_in(each.experiment.params) for scale in scales]
        places += [_place(span, numbers.get(name)) for name, span in metrics]
        lines.append(Line(tuple(places), each.value, each.tip))
        best = lines[-1] if each is rows.best else best
    parts = [rows.note_of_complete(len(chosen))]
    parts += [f"{left_out} less important parameters left out"] if left_out > 0 else []
    return Parallel(
        f"Parameters of {study.name}",
        (
            *((scale.name, tuple(scale.ticks())) for scale in scales),
            *((name, tuple(_ticks(span))) for name, span in metrics),
        ),
        tuple(lines),
        best,
        metric_label(study.metric, study.direction),
        metrics[0][1],
        rows.sign,
        any(place == INACTIVE for line in lines for place in line.places),
        "; ".join(parts),
    )


def _place(span: Span, value: float | None) -> float:
    if value is None:
        return INACTIVE
    return (span.clamped(value) - span[0]) / (span[1] - span[0]) if span[1] > span[0] else 0.5


def _ticks(span: Span) -> list[tuple[float, str]]:
    if span[1] <= span[0]:
        return [(0.5, number(span[0], 4))]
    return [(i / 4, number(span[0] + i / 4 * (span[1] - span[0]), 4)) for i in range(5)]


def draw(data: Parallel) -> Canvas:
    """Draw it."""
    n = len(data.axes)
    canvas = Canvas(max(7.0, 1.6 + 1.2 * n), 5.6, data.title, data.note)
    with canvas.drawing() as figure:
        axes = figure.subplots()
        colours = _colours(data)
        for line, colour in zip(data.lines, colours, strict=True):
            (drawn,) = axes.plot(
                range(n), line.places, color=colour, linewidth=1.1, alpha=_alpha(len(data.lines))
            )
            canvas.tell(drawn, [line.tip])
        if data.best is not None:
            (drawn,) = axes.plot(range(n), data.best.places, color=DARK, linewidth=2.4, label="best")
            canvas.tell(drawn, [data.best.tip])
            axes.legend(loc="lower left", bbox_to_anchor=(0, -0.06), handletextpad=0.5)
        for i, (name, ticks) in enumerate(data.axes):
            axes.plot([i, i], [0, 1], color="#555555", linewidth=1.0, zorder=3)
            for place, text in ticks:
                axes.annotate(
                    text, (i, place), (3, 0), textcoords="offset points", va="center", fontsize=7, color=DARK,
                    bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.75, "linewidth": 0},
                    zorder=4,
                )  # fmt: skip
            axes.text(i, 1.05, shortened(name), rotation=28, ha="left", va="bottom", fontsize=8.5, color=DARK)
        if data.has_inactive:
            axes.text(-0.08, INACTIVE, "not there", ha="right", va="center", fontsize=7, color=GREY)
        axes.set_xlim(-0.1, n - 0.5)
        axes.set_ylim(-0.16, 1.05)
        axes.set_axis_off()
        if data.span[1] > data.span[0]:
            _add_scale(figure, axes, data)
    return canvas


def _alpha(n: int) -> float:
    return 0.85 if n <= 50 else 0.5


def _colours(data: Parallel) -> Sequence[object]:
    import matplotlib

    scale = matplotlib.colormaps[_scale(data)]
    return [scale(_place(data.span, line.value)) for line in data.lines]


def _scale(data: Parallel) -> str:
    return REVERSED if data.sign > 0 else COLOURS


def _add_scale(figure: Any, axes: Any, data: Parallel) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    mappable = ScalarMappable(Normalize(*data.span), _scale(data))
    figure.colorbar(mappable, ax=axes, label=data.label, fraction=0.03, pad=0.01, aspect=30)
