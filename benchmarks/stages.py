"""Does a search in stages find better than a flat one of the same cost, and does narrowing earn anything?

Stages as `orchestrator stages` runs them: S0, 8 by `sobol` on a fifth of the rows; S1, 20 by `bayesian` on
half; S2, 50 on all. Each begins with the best of the last, learns from it as from an earlier study, and keeps
of every range `narrow` around its best quarter; the best three of S2 are scored once more. An experiment
costs its share of the rows.

- stages: `narrow = 1.0`, which is the default: each searches the whole.
- narrowed: `narrow = 0.5`.
- flat: one study by `bayesian` on all rows, up to the same cost; and as many experiments as the stages have.

With TUNING_PROBLEMS (or ../shared/bench) its rbv2 problems, whose surrogates know the share of the rows; else
models on data that scikit-learn carries.

    python benchmarks/stages.py [--problems 8] [--seeds 1] [--jobs 2]
"""

import argparse
import os
import sys
from pathlib import Path

if not __package__:  # it is run, and not imported
    for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_variable] = "1"
    # A neighbour of this file has the name of a package, and Python looks in this folder first.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from operator import itemgetter
from typing import Any, Protocol

import numpy as np
from tabulate import tabulate

from benchmarks.arena import builtin
from benchmarks.memory import at_least, shared_folder, with_interval
from benchmarks.warm_start import Results, problem_module, space_of
from tuner.experiment import Observation, Params
from tuner.generators import make_generator
from tuner.memory import Earlier
from tuner.narrow import narrowed
from tuner.space import SearchSpace


class Loss(Protocol):
    """Of a configuration, on a share of the rows."""

    def __call__(self, config: Params, rows: float) -> float: ...


STAGES = (("sobol", 8, 0.2), ("bayesian", 20, 0.5), ("bayesian", 50, 1.0))
FEWEST, QUARTER, N_FINALISTS = 3, 4, 3
COST = sum((n + 1) * rows for _, n, rows in STAGES) + N_FINALISTS
N_IN_STAGES = sum(n + 1 for _, n, _ in STAGES) + N_FINALISTS
N_SCALE = 60


def names(n: int | None = None) -> list[str]:
    """Of the problems; of `n` of them, evenly spread over all."""
    every = list(builtin.NAMES)
    if (folder := shared_folder()) is not None:
        every = [name for name in problem_module(folder).NAMES if ":rbv2_" in name]
    return every if n is None else [every[i * len(every) // n] for i in range(min(n, len(every)))]


def problem_of(name: str) -> tuple[SearchSpace, Loss, Callable[[float], float]]:
    """Its space, its loss, and what takes a loss to 0 for the best known and 1 for the random median."""
    folder = shared_folder()
    if folder is not None:
        problem = problem_module(folder).make(name)

        def measured(config: Params, rows: float) -> float:
            return float(problem._run([problem.active(dict(config))], trainsize=rows)[0])

        return space_of(problem), measured, problem.regret
    made = builtin.Builtin(name)
    space, known = space_of(made), {}

    def loss(config: Params, rows: float) -> float:
        key = (tuple(sorted(config.items())), rows)
        if key not in known:
            known[key] = _cross_validated(made, config, rows)
        return known[key]

    rng = np.random.default_rng(1)
    losses = [loss(space.sample(rng), 1.0) for _ in range(N_SCALE)]
    best, median = min(losses), float(np.median(losses))
    return space, loss, lambda value: (value - best) / (median - best)


def _cross_validated(made: builtin.Builtin, config: Params, rows: float) -> float:
    import warnings

    from sklearn.model_selection import cross_val_score

    x, y = builtin._data(made._data_set)
    n = math.ceil(rows * len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model that did not converge is a result like any other
        scores = cross_val_score(made._build(dict(config)), x[:n], y[:n], cv=3, scoring=made._scoring)
    return -float(scores.mean())


def search(
    space: SearchSpace,
    loss: Callable[[Params], float],
    method: str,
    n: int,
    seed: int,
    earlier: Sequence[Earlier] = (),
) -> Results:
    """The defaults, and `n` candidates in turn."""
    options: dict[str, Any] = {"earlier": earlier} if earlier else {}
    generator = make_generator(method, space, seed=seed, baseline=space.defaults(), n_asked=1, **options)
    config: Params = space.defaults()
    found: Results = []
    while True:
        found.append((dict(config), loss(config)))
        generator.tell([Observation(*found[-1])])
        if len(found) > n or not (asked := generator.ask(1)):
            return found
        config = asked[0].params


def in_stages(space: SearchSpace, loss: Loss, seed: int, narrow: float) -> float:
    """The least loss on all rows."""
    here = space
    found: Results = []
    earlier: list[Earlier] = []
    for i, (method, n, rows) in enumerate(STAGES):
        if i:
            around = max(FEWEST, math.ceil(STAGES[i - 1][1] / QUARTER))
            best = [config for config, _ in sorted(found, key=itemgetter(1))[:around]]
            observed = [Observation(config, value) for config, value in found]
            earlier = [Earlier(here, "minimize", observed, f"S{i - 1}")]
            here = narrowed(space, best, last=here, share=narrow)
        found = search(here, partial(loss, rows=rows), method, n, seed, earlier)
    return min(value for _, value in found)


def run(job: tuple[str, int]) -> dict[str, float]:
    """The regret of all arms for one problem and one seed."""
    name, seed = job
    space, loss, regret = problem_of(name)
    values = [value for _, value in search(space, partial(loss, rows=1.0), "bayesian", N_IN_STAGES - 1, seed)]
    return {
        "stages": regret(in_stages(space, loss, seed, 1.0)),
        "narrowed": regret(in_stages(space, loss, seed, 0.5)),
        "flat, same cost": regret(min(values[: int(COST)])),
        "flat, as many": regret(min(values)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; arguments of the command line where none are given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=at_least(1), help="how many of them; all by default")
    parser.add_argument("--seeds", type=at_least(1), default=1)
    parser.add_argument("--jobs", type=at_least(1), default=2)
    given = parser.parse_args(arguments)
    sets = names(given.problems)
    jobs = [(name, seed) for name in sets for seed in range(given.seeds)]
    with ProcessPoolExecutor(given.jobs) as pool:
        results = dict(zip(jobs, pool.map(run, jobs), strict=True))
    print(f"{len(sets)} problems, {given.seeds} seeds: mean regret; more than the flat one of the same cost,")
    print("with its 95 % interval over the problems; and on how many of them it is no worse")
    print(table(results))


def table(results: dict[tuple[str, int], dict[str, float]]) -> str:
    """One row for each arm."""
    problems = list(dict.fromkeys(name for name, _ in results))
    arms = next(iter(results.values()))
    of = {
        arm: np.array(
            [np.mean([r[arm] for (name, _), r in results.items() if name == one]) for one in problems]
        )
        for arm in arms
    }
    costs = {"flat, same cost": int(COST), "flat, as many": N_IN_STAGES}
    rows: list[list[Any]] = []
    for arm, regrets in of.items():
        more = regrets - of["flat, same cost"]
        cost = costs.get(arm, COST)
        rows.append(
            [
                arm,
                f"{cost:.0f}",
                f"{regrets.mean():.3f}",
                with_interval(more),
                f"{int((more <= 0).sum())} of {len(more)}",
            ]
        )
    return tabulate(rows, headers=["", "cost", "regret", "more, 95 %", "no worse"], disable_numparse=True)


if __name__ == "__main__":
    main()
