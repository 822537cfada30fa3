"""What a change of the Bayesian generator earns: ours beside ours with it."""

from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.arena import ranking
from benchmarks.arena.client import Proposer
from benchmarks.arena.job import Job, Options, Row
from benchmarks.arena.sequential import Search, random_results
from benchmarks.peers.changed import KNOWN, Change

__all__ = ["Changes"]

_AT = (20, 50)
_N_KNOWN = 300


class Changes:
    """The runs of `search`, by ours and by ours with each of some changes.

    Args:
        name: of the section.
        preposition: what stands before a change's name and words: "with" or "without".
        changes: by name; see `benchmarks.peers.changed`.
    """

    def __init__(self, name: str, preposition: str, changes: dict[str, Change]) -> None:
        self.name, self._preposition, self._changes = name, preposition, changes

    def jobs(self, options: Options) -> list[Job]:
        methods = ["ours", *(f"{self._preposition}:{name}" for name in self._changes)]
        return [
            Job("search", method, problem, seed, options.n or 50)
            for seed in options.seeds
            for problem in options.problems
            for method in methods
        ]

    def run(self, job: Job, proposer: Proposer) -> dict[str, Any]:
        if job.method == f"{self._preposition}:{KNOWN}":
            return Search().run(job, proposer, results=random_results(job.problem, _N_KNOWN))
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
            name = method.removeprefix(f"{self._preposition}:")
            what = "ours" if name == method else f"{self._preposition} {self._changes[name][0]}"
            line: list[str] = [what]
            for k in at:
                mean = ranking.mean_over_problems({pair: float(of[pair][k - 1]) for pair in common})
                beside = [float(of[pair][k - 1] - found["ours"][pair][k - 1]) for pair in sorted(common)]
                line += [f"{mean:.3f}", "" if name == method else _with_error(beside)]
            table.append(line)
        headers = ["", *(title for k in at for title in (f"at {k}", "more than ours"))]
        body = tabulate(table, headers=headers, disable_numparse=True, maxcolwidths=60)
        return (
            f"Mean regret of {len(common)} runs each\n{body}\n"
            "More than ours: the mean of the differences on the same problem and seed, +- its standard error."
        )


def _with_error(differences: list[float]) -> str:
    """Their mean and its standard error; no error of one alone."""
    error = np.std(differences, ddof=1) / len(differences) ** 0.5 if len(differences) > 1 else float("nan")
    return f"{np.mean(differences):+.3f} +- {error:.3f}"
