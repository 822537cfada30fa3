"""The picture of a comparison: default against tuned score of each model, on known sites and on new ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.comparison.job import ALL
from orchestrator.comparison.results import MEAN, Row
from orchestrator.plots.canvas import BLUE, DARK, GREEN, GREY, ORANGE, RED, Canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", DARK, GREY)
_TITLES = {"all": "known sites", "own": "each site alone", "others": "new sites"}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture: one panel for each kind of training, one large mark for each model and size.

    Small marks are single sites. On the line tuning changes nothing, above it the tuned score is the larger.
    Bars are the 95 % intervals of the difference.

    Args:
        rows: of one metric.
        path: ends in .png, .svg or .html.

    Raises:
        UsageError: it cannot be written.
    """
    shown = [row for row in rows if row.default is not None and row.tuned is not None]
    kinds = [kind for kind in _TITLES if any(row.job.training.kind == kind for row in shown)]
    models = list(dict.fromkeys(row.job.model for row in shown))
    subtitle = "large: all held-out rows, or the mean over sites; bars: 95 % of the gain; small: each site"
    canvas = Canvas(1.0 + 4.2 * max(1, len(kinds)), 5.0, "Default against tuned", subtitle)
    with canvas.drawing() as figure:
        panels = figure.subplots(1, len(kinds), squeeze=False)[0]
        for axes, kind in zip(panels, kinds, strict=True):
            _panel(canvas, axes, [row for row in shown if row.job.training.kind == kind], models)
            axes.set(title=_TITLES[kind], xlabel=f"{shown[0].metric}, default", ylabel="tuned")
        panels[0].legend(loc="lower right")
    canvas.save(path)


def _panel(canvas: Canvas, axes: "Axes", rows: Sequence[Row], models: Sequence[str]) -> None:
    tests = [row.test for row in rows]
    large = next((name for name in (ALL, MEAN) if name in tests), None)
    for job in dict.fromkeys((row.job.model, row.job.size) for row in rows):
        own = [row for row in rows if (row.job.model, row.job.size) == job]
        colour = _COLOURS[models.index(job[0]) % len(_COLOURS)]
        whole = [row for row in own if large is None or row.test == large]
        _marks(
            canvas, axes, [row for row in own if row.test not in (ALL, MEAN)], color=colour, alpha=0.4, s=9
        )
        for row in whole:
            _bar(axes, row, colour)
        face = colour if job[1] == 1 else "white"
        label = f"{job[0]}, {job[1]:g}"
        _marks(canvas, axes, whole, facecolor=face, edgecolor=colour, s=45, zorder=3, label=label)
    low, high = min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([low, high], [low, high], color="#BBBBBB", linewidth=1, zorder=0)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")


def _marks(canvas: Canvas, axes: "Axes", rows: Sequence[Row], **style: object) -> None:
    known = [(row, row.default.value, row.tuned.value) for row in rows if row.default and row.tuned]
    tips = [f"{row.job.model}, {row.job.size:g}, {row.test}: {x:.4f} to {y:.4f}" for row, x, y in known]
    canvas.dots(axes, [x for _, x, _ in known], [y for _, _, y in known], tips, **style)


def _bar(axes: "Axes", row: Row, colour: str) -> None:
    """The interval of the difference, where it lies for this default score."""
    gain, default, tuned = row.gain, row.default, row.tuned
    if gain is None or default is None or tuned is None or gain.low is None or gain.high is None:
        return
    below, above = gain.value - gain.low, gain.high - gain.value
    if gain.value * (tuned.value - default.value) < 0:  # the less the better
        below, above = above, below
    axes.errorbar(default.value, tuned.value, [[below], [above]], color=colour, capsize=3)
