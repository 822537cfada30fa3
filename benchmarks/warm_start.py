"""Regret of a search with and without earlier studies of the same space on other data sets.

Each of the rbv2 problems (`--problems`, a folder with `problems.py`) is searched cold, and warm from five
studies of 50 experiments (20 random, 30 Bayesian; drawn anew with each seed) on other data sets: other OpenML
tasks among those that the problems name. What it costs to be misled is measured with the same five studies,
made wrong: `reversed` (best and worst exchanged), `shuffled` (every configuration has the loss of another),
`elsewhere` (the losses of a bowl around a random place, for each study another). The peer, where it is
installed, is Optuna's TPE, cold and with the best of each study enqueued.

    python benchmarks/warm_start.py --problems ../shared/bench [--seeds 3] [--n 20] [--keep FOLDER]
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import copy
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from tuner.experiment import Observation
from tuner.generators import make_generator
from tuner.memory import Earlier
from tuner.space import CategoricalParam, FloatParam, IntParam, Param, SearchSpace

N_SIBLINGS, N_RANDOM, N_BAYESIAN = 5, 20, 30
MISLED = ("reversed", "shuffled", "elsewhere")
OURS = ("cold", "warm", *MISLED)
PEERS = ("optuna cold", "optuna warm")

Results = list[tuple[dict[str, Any], float]]


def code_version() -> str:
    """A hash of `tuner`, so that no run that was kept is taken for one of other code."""
    sources = sorted((Path(__file__).resolve().parent.parent / "tuner").rglob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:8]


def problem_module(folder: Path) -> Any:
    sys.path.insert(0, str(folder))
    import problems  # type: ignore[import-not-found]

    return problems


def space_of(problem: Any) -> SearchSpace:
    params: list[Param] = []
    for p in problem.space:
        when = {p.when[0]: p.when[1]} if p.when else None
        if p.type == "cat":
            params.append(CategoricalParam(p.name, p.choices, when=when))
        else:
            kind = IntParam if p.type == "int" else FloatParam
            params.append(kind(p.name, p.low, p.high, log=p.log, when=when))
    return SearchSpace(params)


def siblings(problems: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The same objective on five other tasks; only those that some rbv2 problem names, and never its own."""
    problem = problems.make(name)
    tasks = sorted({each.split(":")[2] for each in problems.NAMES if ":rbv2_" in each} - {problem.instance})
    known = [task for task in tasks if task in problem.encoding[problem.instance_key]]
    digest = hashlib.sha256(name.encode()).hexdigest()
    for task in np.random.default_rng(int(digest[:8], 16)).permutation(known)[:N_SIBLINGS]:
        other = copy.copy(problem)
        other.instance = str(task)
        yield other.instance, other


def study(evaluate: Callable[[dict[str, Any]], float], space: SearchSpace, seed: int) -> Results:
    rng = np.random.default_rng(seed)
    found: Results = []
    for _ in range(N_RANDOM):
        config = space.sample(rng)
        found.append((config, evaluate(config)))
    generator = make_generator("bayesian", space, seed=seed, n_asked=N_RANDOM)
    generator.tell([Observation(config, loss) for config, loss in found])
    for _ in range(N_BAYESIAN):
        config = dict(generator.ask(1)[0].params)
        found.append((config, evaluate(config)))
        generator.tell([Observation(*found[-1])])
    return found


def earlier_studies(folder: Path, keep: Path, name: str, seed: int) -> list[tuple[str, Results]]:
    """Made once and kept; others with each seed, since one draw of them can be lucky for all runs."""
    path = keep / f"{name.replace(':', '_')}_{seed}.json"
    if not path.exists():
        problems = problem_module(folder)
        space = space_of(problems.make(name))
        made = [
            (task, study(other.evaluate, space, 100 + N_SIBLINGS * seed + i))
            for i, (task, other) in enumerate(siblings(problems, name))
        ]
        path.write_text(json.dumps(made))
    return [
        (task, [(config, loss) for config, loss in found]) for task, found in json.loads(path.read_text())
    ]


def misled(studies: list[tuple[str, Results]], how: str, space: SearchSpace) -> list[tuple[str, Results]]:
    """The same configurations with losses that mislead."""
    rng = np.random.default_rng(5)
    changed = []
    for task, found in studies:
        losses = np.array([loss for _, loss in found])
        if how == "reversed":
            losses = -losses
        elif how == "shuffled":
            losses = rng.permutation(losses)
        elif how == "elsewhere":
            places = space.encode([config for config, _ in found])
            losses = ((places - rng.random(space.n_dims)) ** 2).sum(axis=1)
        changed.append(
            (task, [(config, float(loss)) for (config, _), loss in zip(found, losses, strict=True)])
        )
    return changed


def ours(space: SearchSpace, studies: list[tuple[str, Results]], seed: int) -> tuple[Any, Any]:
    """Ask and tell."""
    earlier = [
        Earlier(space, "minimize", [Observation(config, loss) for config, loss in found], task)
        for task, found in studies
    ]
    generator = make_generator("bayesian", space, seed=seed, earlier=earlier)
    return (
        lambda: dict(generator.ask(1)[0].params),
        lambda config, loss: generator.tell([Observation(config, loss)]),
    )


def optuna_tpe(space: SearchSpace, studies: list[tuple[str, Results]], seed: int) -> tuple[Any, Any]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    for _, found in studies:
        search.enqueue_trial(min(found, key=lambda one: one[1])[0])
    trials = []

    def ask() -> dict[str, Any]:
        trials.append(search.ask())
        config: dict[str, Any] = {}
        for name in space.order:
            param, condition = space.params[name], space.conditions.get(name)
            if condition is not None and not condition.holds(config):
                continue
            if isinstance(param, CategoricalParam):
                config[name] = trials[-1].suggest_categorical(name, list(param.choices))
            else:
                suggest = trials[-1].suggest_int if param.kind == "int" else trials[-1].suggest_float
                config[name] = suggest(name, param.low, param.high, log=param.log)
        return config

    return ask, lambda _, loss: search.tell(trials[-1], loss)


def run(job: tuple[str, str, int], *, folder: Path, keep: Path, n: int) -> tuple[list[float], float]:
    """The regret after each experiment, and the seconds spent in asking and telling."""
    name, arm, seed = job
    problem = problem_module(folder).make(name)
    space = space_of(problem)
    studies = [] if arm.endswith("cold") else earlier_studies(folder, keep, name, seed)
    make = optuna_tpe if arm in PEERS else ours
    start = time.process_time()
    ask, tell = make(space, misled(studies, arm, space), seed)
    spent, best, regrets = time.process_time() - start, float("inf"), []
    for _ in range(n):
        start = time.process_time()
        config = ask()
        spent += time.process_time() - start
        loss = problem.evaluate(config)
        best = min(best, loss)
        regrets.append(problem.regret(best))
        start = time.process_time()
        tell(config, loss)
        spent += time.process_time() - start
    return regrets, spent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=Path, default=Path("../shared/bench"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--arms", nargs="+", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("warm_start"), help="studies and runs already made")
    given = parser.parse_args()
    if not (given.problems / "problems.py").exists():
        raise SystemExit(f"There is no problems.py in {given.problems}: give --problems.")
    folder, keep = given.problems.resolve(), given.keep.resolve()
    keep.mkdir(parents=True, exist_ok=True)
    names = [name for name in problem_module(folder).NAMES if ":rbv2_" in name]
    log = keep / f"runs_{given.n}_{code_version()}.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    done = {tuple(job): result for job, result in map(json.loads, lines)}
    jobs = [(name, arm, seed) for seed in range(given.seeds) for arm in given.arms for name in names]
    todo = [job for job in jobs if job not in done]
    with ProcessPoolExecutor(given.jobs) as pool, log.open("a") as file:
        made = [
            pool.submit(earlier_studies, folder, keep, *one) for one in product(names, range(given.seeds))
        ]
        for each in made:
            each.result()
        results = pool.map(partial(run, folder=folder, keep=keep, n=given.n), todo)
        for job, result in zip(todo, results, strict=True):
            done[job] = result
            print(json.dumps([job, result]), file=file, flush=True)
    print_tables(done, names, given.arms, given.seeds, given.n)


def print_tables(
    done: dict[tuple[str, str, int], Any], names: list[str], arms: list[str], n_seeds: int, n: int
) -> None:
    regrets = {
        arm: np.array([[done[name, arm, seed][0] for seed in range(n_seeds)] for name in names])
        for arm in arms
    }
    points = [at for at in (5, 10, 20, 50) if at <= n]
    rows = []
    for arm in arms:
        means = [regrets[arm][:, :, at - 1].mean() for at in points]
        cold = regrets["optuna cold" if arm in PEERS else "cold"][:, :, points[-1] - 1]
        more = regrets[arm][:, :, points[-1] - 1] - cold
        error = f" ± {more.std(ddof=1) / more.size**0.5:.3f}" if more.size > 1 else ""  # one has none
        seconds = np.mean([done[name, arm, seed][1] for name in names for seed in range(n_seeds)])
        rows.append((arm, *means, means[-1] / cold.mean(), f"{more.mean():+.3f}{error}", seconds))
    print(
        f"{len(names)} problems, {n_seeds} seeds: mean regret; at {points[-1]}, its share of the cold one's"
    )
    print("and how much more it is, with the standard error over the pairs of problem and seed")
    headers = ["", *(f"at {at}" for at in points), "of cold", "more", "seconds"]
    print(tabulate(rows, headers=headers, floatfmt=".3f"))
    print(f"\nby scenario, at {points[-1]}")
    scenarios = list(dict.fromkeys(name.split(":")[1] for name in names))
    by_scenario = [
        (
            scenario,
            *(regrets[arm][[scenario in name for name in names], :, points[-1] - 1].mean() for arm in arms),
        )
        for scenario in scenarios
    ]
    print(tabulate(by_scenario, headers=["", *arms], floatfmt=".3f"))


if __name__ == "__main__":
    main()
