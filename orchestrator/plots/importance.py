"""Which parameters mattered: their shares with likely ranges, as the last run left them."""

from dataclasses import dataclass

from orchestrator.plots.canvas import BLUE, DARK, GREY, Canvas
from orchestrator.plots.rows import shortened
from tuner.errors import NotFoundError
from tuner.experiment import Study
from tuner.insight import Importance, Insight

__all__ = ["Bars", "draw", "prepare"]

_MOST = 25


@dataclass(frozen=True, slots=True)
class Bars:
    """The picture as data: each metric, how many results taught it, and its importances, greatest first."""

    title: str
    panels: tuple[tuple[str, int, tuple[Importance, ...]], ...]


def prepare(study: Study, insight: Insight | None, further: dict[str, Insight]) -> Bars:
    """Gather what is drawn.

    Raises:
        NotFoundError: too few experiments have succeeded to say, or all came to the same.
    """
    known = {study.metric: insight, **further}
    panels = tuple(
        (metric, each.n, each.importances[:_MOST])
        for metric, each in known.items()
        if each is not None and each.importances
    )
    if not panels:
        raise NotFoundError(
            f"There is nothing to plot yet: what mattered in study {study.name!r} is known at the end of"
            " a run, from ten comparable successes on that differ.",
            "Run more: orchestrator --method bayesian --configs 20",
        )
    return Bars(f"What mattered in {study.name}", panels)


def draw(data: Bars) -> Canvas:
    """Draw it."""
    rows = [len(importances) for _, _, importances in data.panels]
    note = "bar: median of what is likely; line: eight of ten likely shares; grey: not known to matter"
    canvas = Canvas(8.0, 1.1 + sum(0.9 + 0.3 * n for n in rows), data.title, note)
    with canvas.drawing() as figure:
        every = figure.subplots(len(rows), 1, squeeze=False, sharex=True, height_ratios=[2 + n for n in rows])
        for axes, (metric, n, importances) in zip(every[:, 0], data.panels, strict=True):
            places = range(len(importances))
            shares = [100 * each.share for each in importances]
            colours = [BLUE if each.matters else GREY for each in importances]
            axes.barh(places, shares, color=colours, height=0.62, zorder=2)
            errors = [
                [100 * max(0.0, each.share - each.low) for each in importances],
                [100 * max(0.0, each.high - each.share) for each in importances],
            ]
            axes.errorbar(
                shares, places, xerr=errors, fmt="none", ecolor=DARK, elinewidth=1.2, capsize=2, zorder=3
            )
            axes.set_yticks(places, [shortened(each.name) for each in importances])
            for text, each in zip(axes.get_yticklabels(), importances, strict=True):
                text.set_color(DARK if each.matters else GREY)
            axes.set_ylim(len(importances) - 0.4, -0.6)
            axes.set_xlim(0, 100)
            axes.grid(axis="x")
            axes.set_axisbelow(True)
            axes.set_title(f"{shortened(metric)}, from {n} results", loc="left")
        every[-1, 0].set_xlabel("share of the variance over the space, interactions included (%)")
    return canvas
