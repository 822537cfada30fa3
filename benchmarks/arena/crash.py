"""What a crashing fifth of the space costs: experiments wasted there, and what is found beside it.

Each region lies around the best of random search, so that it draws in whoever does not learn from failures:

corner    a half-space over all numbers, beyond which it crashes
category  one choice of a category, with one number on one side
band      a fifth of one number's logarithmic range
"""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.arena.client import Proposer
from benchmarks.arena.job import Job, Options, Row, rows_of
from benchmarks.arena.problems import make
from benchmarks.arena.sequential import play
from benchmarks.peers.base import Config, Param, to_unit
from benchmarks.peers.random_peer import draw

__all__ = ["Crash"]

_SHARE = 0.2
_N = 100
_N_SAMPLE = 1000
_N_BUILTIN_SAMPLE = 60
_PROBLEMS = (
    "yahpo:rbv2_xgboost:1067:auc",
    "yahpo:rbv2_ranger:16:acc",
    "yahpo:rbv2_svm:1063:auc",
    "yahpo:rbv2_glmnet:375:mmce",
    "yahpo:lcbench:167168:val_accuracy",
)
_BUILTIN = ("sklearn:wine:logistic", "sklearn:breast_cancer:svc")

Region = Callable[[Mapping[str, Any]], bool]


class Crash:
    """Runs of 100 experiments on problems and shapes of regions; a crash is told as a failure."""

    name = "crash"

    def jobs(self, options: Options) -> list[Job]:
        default = [p for p in _PROBLEMS if p in options.problems] or list(_BUILTIN)
        problems = options.problems if options.named else default
        return [
            Job(self.name, method, problem, seed, options.n or _N, variant=shape)
            for seed in options.seeds
            for problem, shape in product(problems, _SHAPES)
            if _possible(problem, shape)
            for method in options.methods_or("ours", "optuna-tpe", "random")
        ]

    def run(self, job: Job, proposer: Proposer) -> dict[str, Any]:
        problem = make(job.problem)
        crashes = _region(job.problem, job.variant)
        measure = problem.session()

        def measured(config: Config) -> tuple[float | None, Config]:
            loss, really = measure(config)
            return (None if crashes(really) else loss), really

        proposer.start(problem.space, job.seed, job.n)
        losses = play(proposer, measured, job.n, 1)
        return {"losses": losses, "cpu_s": proposer.cpu_s, "wall_s": proposer.wall_s}

    def report(self, rows: list[Row], options: Options) -> str:
        methods = list(dict.fromkeys(row["method"] for row in rows))
        bests = _best_by_place(rows)
        table: list[list[object]] = []
        for method in methods:
            mine = rows_of(rows, method=method)
            line: list[object] = [method, len(mine), np.mean([_wasted(row) for row in mine])]
            for shape in _SHAPES:
                some = [_wasted(row) for row in rows_of(mine, variant=shape)]
                line.append(np.mean(some) if some else None)
            line += [max(map(_wasted, mine)), np.mean([_loss_beyond(row, bests) for row in mine])]
            table.append(line)
        headers = ["method", "runs", "wasted", *_SHAPES, "most", "regret at the end"]
        text = tabulate(table, headers=headers, floatfmt=(".0f", ".0f", *[".1f"] * 4, ".0f", ".3f"))
        return (
            f"A fifth of the space crashes: how many of {_count(rows)} experiments are wasted there\n{text}\n"
            "Regret: of the best that ran, 0 the best that any method of the table ran, 1 median random."
        )


def _count(rows: Sequence[Row]) -> str:
    return " or ".join(sorted({str(row["n"]) for row in rows})) or "no"


def _wasted(row: Row) -> int:
    return sum(loss is None for loss in row["losses"])


def _best(row: Row) -> float:
    return min((loss for loss in row["losses"] if loss is not None), default=float("inf"))


def _best_by_place(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    bests: dict[tuple[str, str], float] = {}
    for row in rows:
        place = (row["problem"], row["variant"])
        bests[place] = min(bests.get(place, float("inf")), _best(row))
    return bests


def _loss_beyond(row: Row, bests: Mapping[tuple[str, str], float]) -> float:
    best = bests[row["problem"], row["variant"]]
    _, losses = _sample(row["problem"])
    median = float(np.median(losses))
    return min(max((_best(row) - best) / (median - best), 0.0), 1.0) if median > best else 0.0


@cache
def _sample(problem: str) -> tuple[list[Config], np.ndarray]:
    """Random configurations and their losses."""
    made, rng = make(problem), random.Random(0)
    n = _N_BUILTIN_SAMPLE if problem.startswith("sklearn:") else _N_SAMPLE
    measure = made.session()
    found = [measure(draw(made.space, rng)) for _ in range(n)]
    return [config for _, config in found], np.array([loss for loss, _ in found])


def _numbers(space: Sequence[Param]) -> list[Param]:
    return [p for p in space if p.choices is None and p.when is None]


def _possible(problem: str, shape: str) -> bool:
    """Whether the space has what the shape needs; a table of measured configurations has its own shares."""
    space = make(problem).space
    numbers = _numbers(space)
    categories = [p for p in space if p.choices is not None and p.when is None]
    needs = {"corner": numbers, "category": numbers and categories, "band": [p for p in numbers if p.log]}
    return not problem.startswith("pool:") and bool(needs[shape])


@cache
def _region(problem: str, shape: str) -> Region:
    """Where it crashes."""
    configs, losses = _sample(problem)
    return _SHAPES[shape](make(problem).space, configs, configs[int(losses.argmin())])


def _corner(space: Sequence[Param], configs: Sequence[Config], best: Config) -> Region:
    numbers = _numbers(space)

    def places(config: Mapping[str, Any]) -> np.ndarray:
        return np.array([to_unit(p, config[p.name]) - 0.5 for p in numbers])

    towards = places(best)
    edge = float(np.quantile([places(config) @ towards for config in configs], 1 - _SHARE))
    return lambda config: bool(places(config) @ towards > edge)


def _category(space: Sequence[Param], configs: Sequence[Config], best: Config) -> Region:
    category = next(p for p in space if p.choices is not None and p.when is None)
    number = _numbers(space)[0]
    choice = best[category.name]

    def place(config: Mapping[str, Any]) -> float:
        u = to_unit(number, config[number.name])
        return u if to_unit(number, best[number.name]) > 0.5 else 1 - u

    with_it = [place(config) for config in configs if config[category.name] == choice]
    share = min(_SHARE * category.n_choices, 1.0)
    edge = float(np.quantile(with_it, 1 - share))
    return lambda config: config[category.name] == choice and place(config) >= edge


def _band(space: Sequence[Param], configs: Sequence[Config], best: Config) -> Region:
    number = next(p for p in _numbers(space) if p.log)
    low = min(max(to_unit(number, best[number.name]) - _SHARE / 2, 0.0), 1 - _SHARE)
    return lambda config: low <= to_unit(number, config[number.name]) <= low + _SHARE


_SHAPES: dict[str, Callable[[Sequence[Param], Sequence[Config], Config], Region]] = {
    "corner": _corner,
    "category": _category,
    "band": _band,
}
