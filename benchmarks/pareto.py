"""Hypervolume after 60 experiments with several objectives, beside Optuna's TPE and NSGA-II.

ZDT1 and ZDT2 (Zitzler, Deb and Thiele 2000) and DTLZ2 (Deb et al. 2002) in five dimensions, with the usual
reference point 1.1 in each loss; and where `--problems` names a folder with `problems.py`, surrogates of
really measured runs: one less the AUC or accuracy, against the logarithm of the seconds that a prediction or
a fit takes. Their reference point is the median of 1,000 random configurations in each loss, and 1 is the box
from there to the best that any method or those found in each. Higher is better.

    python benchmarks/pareto.py [--problems ../shared/bench] [--seeds 3] [--n 60]
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from tabulate import tabulate

from tuner.direction import Direction
from tuner.experiment import Observation
from tuner.generators import make_generator
from tuner.generators.bayesian.pareto import hypervolume
from tuner.goals import Goals, Objective
from tuner.space import CategoricalParam, FloatParam, IntParam, Param, SearchSpace

METHODS = ("ours", "TPE", "NSGA-II", "random")
REAL = (("rbv2_xgboost", "1067", "auc", "timepredict"), ("rbv2_ranger", "16", "acc", "timetrain"))
N_RANDOM = 1000

Losses = tuple[float, ...]


@dataclass
class Problem:
    """A space, and a few losses of each of its configurations. `reference`: None where it is to be found."""

    name: str
    space: SearchSpace
    losses: Callable[[dict[str, Any]], Losses]
    reference: Sequence[float] | None


def zdt1(x: Sequence[float]) -> Losses:
    g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
    return x[0], g * (1 - math.sqrt(x[0] / g))


def zdt2(x: Sequence[float]) -> Losses:
    g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
    return x[0], g * (1 - (x[0] / g) ** 2)


def dtlz2(x: Sequence[float], m: int) -> Losses:
    radius = 1 + sum((each - 0.5) ** 2 for each in x[m - 1 :])
    losses = []
    for i in range(m):
        loss = radius * math.prod(math.cos(each * math.pi / 2) for each in x[: m - 1 - i])
        losses.append(loss * math.sin(x[m - 1 - i] * math.pi / 2) if i else loss)
    return tuple(losses)


def made_up(name: str, function: Callable[[list[float]], Losses], m: int) -> Problem:
    space = SearchSpace([FloatParam(f"x{i}", 0.0, 1.0) for i in range(5)])
    return Problem(name, space, lambda config: function([config[f"x{i}"] for i in range(5)]), [1.1] * m)


def measured(folder: Path, scenario: str, task: str, score: str, cost: str) -> Problem:
    """A surrogate of the folder with two of its outputs. Its space is that of its own kind of parameters."""
    sys.path.insert(0, str(folder))
    import problems  # type: ignore[import-not-found]

    for target in (score, cost):  # the folder knows the scale of regret for its own names only
        problems._json("stats.json").setdefault(
            f"yahpo:{scenario}:{task}:{target}", {"best": 0.0, "median": 1.0}
        )
    first, second = (problems.make(f"yahpo:{scenario}:{task}:{target}") for target in (score, cost))
    params: list[Param] = []
    for each in first.space:
        when = {each.when[0]: each.when[1]} if each.when else None
        if each.type == "cat":
            params.append(CategoricalParam(each.name, each.choices, when=when))
        elif each.type == "int":
            params.append(IntParam(each.name, int(each.low), int(each.high), log=each.log, when=when))
        else:
            params.append(FloatParam(each.name, each.low, each.high, log=each.log, when=when))

    def losses(config: dict[str, Any]) -> Losses:
        return first.evaluate(config), math.log10(max(second.evaluate(config), 1e-3))

    return Problem(f"{scenario} {task}: {score}, {cost}", SearchSpace(params), losses, None)


def ours(problem: Problem, method: str, m: int, n: int, seed: int) -> list[Losses]:
    goals = Goals(tuple(Objective(f"loss{i}", Direction.MINIMIZE) for i in range(1, m)))
    generator = make_generator(method, problem.space, seed=seed, goals=goals)
    found = []
    for _ in range(n):
        [one] = generator.ask()
        found.append(problem.losses(dict(one.params)))
        metrics = {f"loss{i}": loss for i, loss in enumerate(found[-1]) if i}
        generator.tell([Observation(one.params, found[-1][0], metrics=metrics)])
    return found


def peers(problem: Problem, method: str, m: int, n: int, seed: int) -> list[Losses]:
    samplers = {"TPE": optuna.samplers.TPESampler, "NSGA-II": optuna.samplers.NSGAIISampler}
    study = optuna.create_study(sampler=samplers[method](seed=seed), directions=["minimize"] * m)
    found = []

    def objective(trial: optuna.Trial) -> Losses:
        found.append(problem.losses(suggested(trial, problem.space)))
        return found[-1]

    study.optimize(objective, n_trials=n)
    return found


def suggested(trial: optuna.Trial, space: SearchSpace) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name in space.order:
        param = space.params[name]
        parents = space.conditions[name].parents if name in space.conditions else ()
        if not all(config.get(parent) in [value for _, value in values] for parent, values in parents):
            continue
        if isinstance(param, CategoricalParam):
            config[name] = trial.suggest_categorical(name, param.choices)
        elif isinstance(param, IntParam):
            config[name] = trial.suggest_int(name, param.low, param.high, log=param.log)
        else:
            config[name] = trial.suggest_float(name, param.low, param.high, log=param.log)
    return config


def scaled(problem: Problem, found: dict[Any, list[Losses]]) -> tuple[np.ndarray, float]:
    """The reference point, and the volume that counts as 1."""
    if problem.reference is not None:
        return np.array(problem.reference), 1.0
    rng = np.random.default_rng(0)
    drawn = np.array([problem.losses(dict(problem.space.sample(rng))) for _ in range(N_RANDOM)])
    every = np.vstack([drawn, *(np.array(each) for each in found.values())])
    reference = np.median(drawn, axis=0)
    return reference, float(np.prod(reference - every.min(axis=0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=Path, help="folder with problems.py; needs onnxruntime")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n", type=int, default=60)
    given = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    all_problems = [
        made_up("ZDT1", zdt1, 2),
        made_up("ZDT2", zdt2, 2),
        made_up("DTLZ2", lambda x: dtlz2(x, 2), 2),
        made_up("DTLZ2, three losses", lambda x: dtlz2(x, 3), 3),
    ]
    if given.problems:
        all_problems += [measured(given.problems, *each) for each in REAL]
    rows = []
    for problem in all_problems:
        m = len(problem.reference or (0, 0))
        found: dict[tuple[str, int], list[Losses]] = {}
        seconds = 0.0
        for seed in range(given.seeds):
            start = time.process_time()
            found["ours", seed] = ours(problem, "bayesian", m, given.n, seed)
            seconds += time.process_time() - start
            found["random", seed] = ours(problem, "random", m, given.n, seed)
            for method in ("TPE", "NSGA-II"):
                found[method, seed] = peers(problem, method, m, given.n, seed)
        reference, unit = scaled(problem, found)
        volumes = {
            method: float(
                np.mean([hypervolume(np.array(found[method, s]), reference) for s in range(given.seeds)])
                / unit
            )
            for method in METHODS
        }
        above = volumes["ours"] > max(volumes[method] for method in METHODS[1:])
        rows.append(
            [
                problem.name,
                *(f"{volumes[method]:.3f}" for method in METHODS),
                "yes" if above else "NO",
                f"{seconds / given.seeds:.1f}",
            ]
        )
        print(f"{problem.name}: done", file=sys.stderr, flush=True)
    print(f"Hypervolume after {given.n} experiments, mean of {given.seeds} seeds")
    print(tabulate(rows, [" ", *METHODS, "ours above", "seconds of ours"], disable_numparse=True))


if __name__ == "__main__":
    main()
