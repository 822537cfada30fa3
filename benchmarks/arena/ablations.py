"""What each ingredient of the Bayesian generator earns: ours beside ours without it."""

from typing import Any

from tabulate import tabulate

from benchmarks.arena import ranking
from benchmarks.arena.client import Proposer
from benchmarks.arena.job import Job, Options, Row
from benchmarks.arena.sequential import Search
from benchmarks.peers.ablated import INGREDIENTS

__all__ = ["Ablations"]

_AT = (20, 50)


class Ablations:
    """The runs of `search`, by ours and by ours without each ingredient."""

    name = "ablations"

    def jobs(self, options: Options) -> list[Job]:
        methods = ["ours", *(f"without:{name}" for name in INGREDIENTS)]
        return [
            Job("search", method, problem, seed, options.n or 50)
            for seed in options.seeds
            for problem in options.problems
            for method in methods
        ]

    def run(self, job: Job, proposer: Proposer) -> dict[str, Any]:
        return Search().run(job, proposer)

    def report(self, rows: list[Row], options: Options) -> str:
        found = ranking.curves(rows, ranking.scales(rows, []))
        common = ranking.common_pairs(found)
        if not common:
            return "Nothing was measured of every variant."
        n = min(len(curve) for of in found.values() for curve in of.values())
        at = [k for k in _AT if k <= n] or [n]
        table = []
        for method, of in found.items():
            name = method.removeprefix("without:")
            what = "ours" if name == method else f"without {INGREDIENTS[name][0]}"
            curves = {pair: of[pair] for pair in common}
            means = [ranking.mean_over_problems({p: float(c[k - 1]) for p, c in curves.items()}) for k in at]
            table.append([what, *means])
        headers = ["", *(f"at {k}" for k in at)]
        body = tabulate(table, headers=headers, floatfmt=".3f", maxcolwidths=[60] + [None] * len(at))
        return f"What each ingredient earns: mean regret of {len(common)} runs each\n{body}"
