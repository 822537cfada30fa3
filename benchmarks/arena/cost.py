"""What a proposal costs when much is finished already, on a space of ten parameters."""

import random
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.arena.client import Proposer
from benchmarks.arena.job import Job, Options, Row, rows_of
from benchmarks.peers.base import Config, Param, Told, to_unit
from benchmarks.peers.random_peer import draw

__all__ = ["Cost"]

_SIZES = ((50, 1), (1_000, 1), (10_000, 1), (200, 20))
"""Experiments finished, and how many are proposed at once."""

_MOST = {"skopt-gp": 200, "optuna-gp": 200}
"""Where a method is left out by default: it would take minutes for one proposal."""

_N_TIMES = 3
_SPACE = [
    *(Param(f"x{i}", "float", 0.0, 1.0, False, None, None) for i in range(4)),
    *(Param(f"rate{i}", "float", 1e-4, 1.0, True, None, None) for i in range(2)),
    Param("depth", "int", 1, 12, False, None, None),
    Param("rounds", "int", 10, 2000, True, None, None),
    Param("kind", "cat", None, None, False, ["a", "b", "c"], None),
    Param("replace", "cat", None, None, False, [True, False], None),
]


def _loss(config: Config) -> float:
    """A bowl with a little deterministic noise: only the time to propose is measured."""
    places = [
        to_unit(p, config[p.name]) if p.choices is None else p.choices.index(config[p.name]) / p.n_choices
        for p in _SPACE
    ]
    return float(sum((u - 0.4) ** 2 for u in places) + 0.01 * np.sin(1e3 * sum(places)))


class Cost:
    """Processor seconds of one more proposal, told results included."""

    name = "cost"

    def jobs(self, options: Options) -> list[Job]:
        methods = options.methods_or("ours", "optuna-tpe", "optuna-gp", "skopt-gp")
        return [
            Job(self.name, method, "bowl", n=n, batch=batch)
            for n, batch in _SIZES
            for method in methods
            if options.methods or n <= _MOST.get(method, n)
        ]

    def run(self, job: Job, proposer: Proposer) -> dict[str, Any]:
        rng = random.Random(0)
        history = [draw(_SPACE, rng) for _ in range(job.n)]
        proposer.start(_SPACE, 0, job.n + _N_TIMES * job.batch)
        proposer.tell([Told(None, config, _loss(config)) for config in history])
        seconds: list[float] = []
        asked = 0
        for _ in range(_N_TIMES):
            before = proposer.cpu_s
            configs = proposer.ask(job.batch)
            proposer.tell([Told(asked + i, config, _loss(config)) for i, config in enumerate(configs)])
            asked += len(configs)
            seconds.append(proposer.cpu_s - before)
        return {"cpu_s": float(np.median(seconds)), "all_cpu_s": seconds}

    def report(self, rows: list[Row], options: Options) -> str:
        table: list[list[object]] = []
        for method in dict.fromkeys(row["method"] for row in rows):
            cells = [rows_of(rows, method=method, n=n, batch=batch) for n, batch in _SIZES]
            table.append([method, *(found[0]["cpu_s"] if found else None for found in cells)])
        headers = ["method", *(f"{batch} from {n:,}" for n, batch in _SIZES)]
        return (
            f"Seconds of one core to propose with so many finished, and to be told the result "
            f"({len(_SPACE)} parameters, median of {_N_TIMES})\n"
            + tabulate(table, headers=headers, floatfmt=".3f", missingval="")
        )
