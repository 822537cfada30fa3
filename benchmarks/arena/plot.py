"""Regret against the number of experiments, one line per method."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.arena.job import Row

__all__ = ["draw"]


def draw(path: Path, rows: list[Row], scale: Mapping[str, tuple[float, float]]) -> None:
    """Write a picture, PNG or SVG by the ending of `path`, of the runs that all methods have."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FormatStrFormatter

    from benchmarks.arena.ranking import common_pairs, curves, mean_over_problems

    found = curves(rows, scale)
    common = common_pairs(found)
    n = min(row["n"] for row in rows)
    figure, axes = plt.subplots(figsize=(7.5, 5))
    colors = plt.get_cmap("tab10")
    for i, (method, of) in enumerate(sorted(found.items(), key=lambda each: each[0])):
        line = [mean_over_problems({pair: float(of[pair][k]) for pair in common}) for k in range(n)]
        ours = method == "ours"
        axes.plot(
            np.arange(1, n + 1), line, label=method, color="black" if ours else colors(i % 10),
            linewidth=2.5 if ours else 1.2, zorder=3 if ours else 2,
        )  # fmt: skip
    axes.set_yscale("log")
    for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        set_formatter(FormatStrFormatter("%g"))
    axes.set_xlabel("experiments")
    axes.set_ylabel("mean regret of the best so far")
    problems = len({problem for problem, _ in common})
    axes.set_title(f"{problems} problems, {len(common)} runs of each method")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
