"""Weights that sum to one, and whose optimum is known: how close to it 7 of them and 20 of them come.

Ours is told that they sum to one. No peer can be: each proposes as many numbers u in (0, 1), and the weights
are the shares of -log(u), which makes uniform numbers uniform on the simplex.
"""

import math
from itertools import product
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.arena.client import Proposer
from benchmarks.arena.job import Job, Options, Row, rows_of
from benchmarks.arena.sequential import play
from benchmarks.peers import method_named
from benchmarks.peers.base import Config, Param
from benchmarks.problems_simplex import PROBLEMS, make_problem

__all__ = ["Simplex"]

_SIZES = ((7, 60), (20, 150))
"""Weights, and experiments."""

_NEAR = 1e-2
_LEAST = 1e-12


class Simplex:
    """Every loss and place of the optimum of `problems_simplex`; the seed places the optimum, too."""

    name = "simplex"

    def jobs(self, options: Options) -> list[Job]:
        return [
            Job(self.name, method, problem, seed, n=n, variant=str(n_weights))
            for seed in options.seeds
            for (n_weights, n), problem in product(_SIZES, PROBLEMS)
            for method in options.methods_or("ours", "optuna-tpe", "random")
        ]

    def run(self, job: Job, proposer: Proposer) -> dict[str, Any]:
        n = int(job.variant)
        problem = make_problem(job.problem, n, job.seed)
        knows = method_named(job.method).package == "tuner"
        distances: list[float] = []

        def measure(config: Config) -> tuple[float, Config]:
            weights = config if knows else _shares(config)
            distances.append(problem.distance(weights))
            return problem.loss(weights), config

        space = [Param(f"w{i}", "float", 0.0, 1.0, False, None, None) for i in range(n)]
        proposer.start(space, job.seed, job.n, **({"sum_to_one": True} if knows else {}))
        losses = play(proposer, measure, job.n, job.batch)
        at_best = distances[min(range(len(losses)), key=lambda i: losses[i] or 0.0)]
        return {"losses": losses, "distance": at_best, "cpu_s": proposer.cpu_s, "wall_s": proposer.wall_s}

    def report(self, rows: list[Row], options: Options) -> str:
        table: list[list[object]] = []
        for method, (n_weights, n) in product(dict.fromkeys(row["method"] for row in rows), _SIZES):
            mine = rows_of(rows, method=method, variant=str(n_weights))
            if not mine:
                continue
            best = [min(row["losses"]) for row in mine]
            far = [row["distance"] for row in mine]
            table.append([
                method, n_weights, n, len(mine), np.mean([loss <= _NEAR for loss in best]), np.median(best),
                max(best), np.mean([distance <= _NEAR for distance in far]), np.median(far), max(far),
                np.mean([row["cpu_s"] for row in mine]),
            ])  # fmt: skip
        headers = [
            "method", "weights", "experiments", "runs", "loss below 0.01", "median loss", "worst",
            "within 0.01", "median distance", "farthest", "seconds",
        ]  # fmt: skip
        formats = ("", "", "", "", ".0%", ".4f", ".4f", ".0%", ".4f", ".4f", ".1f")
        title = (
            "Weights that sum to one, the optimum known (loss 0): the best of each run, and how far off it is"
        )
        return f"{title}\n{tabulate(table, headers=headers, floatfmt=formats)}"


def _shares(config: Config) -> Config:
    """Weights from numbers in [0, 1]."""
    parts = {name: -math.log(max(u, _LEAST)) + _LEAST for name, u in config.items()}
    total = math.fsum(parts.values())
    return {name: part / total for name, part in parts.items()}
