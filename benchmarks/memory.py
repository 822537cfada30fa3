"""Is a second study better for what the memory holds of others, and not worse for what misleads?

For each data set a registry is filled with studies of the same model on other data sets, as runs leave
them, and with one of another model. Then the data set is searched through that registry as `orchestrator
--memory` does: similar patterns are found and adopted, each candidate is proposed, claimed and completed in
turn, and what was used is judged at the end.

- cold: the memory is not used.
- memory: it holds five studies on other data sets, of 20 random and 30 Bayesian experiments each.
- misled: the same five with best and worst exchanged; they look just as similar.
- misled thrice: a further study of the same seed, after three were misled and judged what misled them.

With TUNING_PROBLEMS (or ../shared/bench) its rbv2 problems, else forests that tell two digits apart.

    python benchmarks/memory.py [--sets 8] [--seeds 1] [--n 20] [--keep FOLDER]
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

import json
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from scipy.stats import t as student
from tabulate import tabulate

from benchmarks.arena import builtin
from benchmarks.warm_start import Results, earlier_studies, misled, problem_module, space_of, study
from tuner.experiment import Direction, Evaluation, Params, Provenance, Suggestion
from tuner.patterns import Traits
from tuner.propose import open_study, propose
from tuner.recollect import adopt, judge, remember
from tuner.registry import open_registry
from tuner.registry.base import Registry, StudySpec
from tuner.space import SearchSpace

ARMS = ("cold", "memory", "misled", "misled thrice")
N_PAIRS = 9
"""Of digits: one and the next."""
N_SIBLINGS, N_SCALE = 5, 100
N_TO_JUDGE = 13
FIRST = 10
"""Where the table looks first."""


@dataclass(frozen=True)
class Task:
    """A data set to search, and the studies of other data sets.

    `regret` takes a loss to 0 for the best known and 1 for the median of random configurations.
    """

    model: str
    space: SearchSpace
    evaluate: Callable[[Params], float]
    regret: Callable[[float], float]
    siblings: Sequence[tuple[str, Results]]


def shared_folder() -> Path | None:
    """With `problems.py` in it; None where there is none."""
    root = Path(__file__).resolve().parent.parent
    for folder in (os.environ.get("TUNING_PROBLEMS"), root.parent / "shared" / "bench"):
        if folder and (Path(folder) / "problems.py").is_file():
            return Path(folder)
    return None


def names(n: int | None = None) -> list[str]:
    """Of the data sets; of `n` of them, evenly spread over all."""
    every = [f"digits:{one}:{one + 1}" for one in range(N_PAIRS)]
    if (folder := shared_folder()) is not None:
        every = [name for name in problem_module(folder).NAMES if ":rbv2_" in name]
    return every if n is None else [every[i * len(every) // n] for i in range(min(n, len(every)))]


def task_of(name: str, keep: Path) -> Task:
    """Read or make it; its siblings are made once and kept."""
    folder = shared_folder()
    if folder is None:
        return _digits(name, keep)
    problem = problem_module(folder).make(name)
    siblings = earlier_studies(folder, keep, name, seed=0)
    return Task(name.split(":")[1], space_of(problem), problem.evaluate, problem.regret, siblings)


def _digits(name: str, keep: Path) -> Task:
    space = space_of(type("Forest", (), {"space": builtin._FOREST}))
    others = [other for other in names() if other != name][:: max(1, (N_PAIRS - 1) // N_SIBLINGS)]
    found = [(other, _kept_study(other, space, keep)) for other in others[:N_SIBLINGS]]
    rng = np.random.default_rng(1)
    losses = [_loss(name, config) for config in (space.sample(rng) for _ in range(N_SCALE))]
    best, median = min(losses), float(np.median(losses))
    return Task("forest", space, partial(_loss, name), lambda loss: (loss - best) / (median - best), found)


def _kept_study(name: str, space: SearchSpace, keep: Path) -> Results:
    path = keep / f"{name.replace(':', '_')}.json"
    if not path.exists():
        path.write_text(json.dumps(study(partial(_loss, name), space, 100)))
    return [(config, loss) for config, loss in json.loads(path.read_text())]


@cache
def _pair(name: str) -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    rows = np.isin(y, [int(digit) for digit in name.split(":")[1:]])
    return x[rows][:200], y[rows][:200]


def _loss(name: str, config: Params) -> float:
    from sklearn.model_selection import cross_val_score

    scores = cross_val_score(builtin._forest(dict(config)), *_pair(name), cv=3, scoring="neg_log_loss")
    return -float(scores.mean())


def store(registry: Registry, task: Task, how: str) -> None:
    """What runs on the other data sets would have left, and one run of another model."""
    siblings = list(task.siblings) if how == "memory" else misled(list(task.siblings), "reversed", task.space)
    left = [(label, task.model, found) for label, found in siblings]
    left.append(("elsewhere", "another model", list(task.siblings[0][1])))
    for label, model, found in left:
        row = registry.open_study(_spec(task, label, 0))
        registry.add(row, [Suggestion(config, "random") for config, _ in found])
        provenance = Provenance(label)
        losses = [loss for _, loss in found]
        for claim, loss in zip(registry.claim(row, len(found)), losses, strict=True):
            registry.complete(claim, Evaluation(loss), provenance)
        remember(registry, row, provenance, Traits(model))


def _spec(task: Task, name: str, seed: int) -> StudySpec:
    space = task.space
    return StudySpec(name, space.to_dict(), "loss", Direction.MINIMIZE, space.defaults(), seed=seed)


def search(registry: Registry, task: Task, name: str, seed: int, n: int, *, uses_memory: bool) -> list[float]:
    """The regret after the baseline and each of `n` candidates."""
    row, provenance, traits = (
        open_study(registry, _spec(task, name, seed)),
        Provenance("here"),
        Traits(task.model),
    )
    best, regrets = float("inf"), []
    for _ in range(n + 1):
        for claim in registry.claim(row, 1):
            loss = task.evaluate(claim.experiment.params)
            best = min(best, loss)
            registry.complete(claim, Evaluation(loss), provenance)
        regrets.append(task.regret(best))
        found = adopt(registry, row, provenance, traits) if uses_memory else None
        propose(registry, row, "bayesian", 1, provenance=provenance, memory=found)
    if uses_memory:
        judge(registry, row, provenance)  # and is not remembered: that is for other data sets
    return regrets


def run(job: tuple[str, int], *, keep: Path, n: int) -> dict[str, list[float]]:
    """All arms of one data set and one seed."""
    name, seed = job
    task = task_of(name, keep)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for how in ("memory", "misled"):
            with open_registry(Path(folder) / f"{how}.db", create=True) as registry:
                store(registry, task, how)
                if how == "memory":
                    found["cold"] = search(registry, task, "cold", seed, n, uses_memory=False)
                found[how] = search(registry, task, "first", seed, n, uses_memory=True)
                if how == "misled":
                    for further in ("second", "third"):
                        search(registry, task, further, seed + 100, N_TO_JUDGE, uses_memory=True)
                    found["misled thrice"] = search(registry, task, "fourth", seed, n, uses_memory=True)
    return found


def with_interval(differences: np.ndarray) -> str:
    """The mean of (n,) differences with its 95 % interval, which one alone does not have."""
    mean, n = differences.mean(), len(differences)
    if n < 2:
        return f"{mean:+.3f} (of one: no interval)"
    half = student.ppf(0.975, n - 1) * differences.std(ddof=1) / n**0.5
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def at_least(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number of at least this."""

    def whole(text: str) -> int:
        if (given := int(text)) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, but is {given}")
        return given

    return whole


def table(results: dict[tuple[str, int], dict[str, list[float]]], n: int) -> str:
    """Means over data sets of means over seeds, and paired differences to cold with 95 % intervals."""
    sets = list(dict.fromkeys(name for name, _ in results))
    of = {
        arm: np.array(
            [
                np.mean([found[arm] for (name, _), found in results.items() if name == one], axis=0)
                for one in sets
            ]
        )
        for arm in ARMS
    }
    rows = []
    for arm in ARMS:
        cells: list[Any] = [arm]
        for at in (FIRST, n):
            mean, cold = of[arm][:, at].mean(), of["cold"][:, at].mean()
            share = f"{mean / cold:.2f}" if cold else ""  # it found the best known itself
            cells += [f"{mean:.3f}", share, with_interval(of[arm][:, at] - of["cold"][:, at])]
        cells.append(f"{int((of[arm][:, n] <= of['cold'][:, n]).sum())} of {len(sets)}")
        rows.append(cells)
    heads = ["", f"at {FIRST}", "of cold", "more, 95 %", f"at {n}", "of cold", "more, 95 %", "no worse"]
    return tabulate(rows, headers=heads, disable_numparse=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; arguments of the command line where none are given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=at_least(1), help="how many data sets; all of them by default")
    parser.add_argument("--seeds", type=at_least(1), default=1)
    parser.add_argument(
        "--n", type=at_least(FIRST), default=20, help=f"candidates of each study; at least {FIRST}"
    )
    parser.add_argument("--jobs", type=at_least(1), default=2)
    parser.add_argument(
        "--keep", type=Path, default=Path("warm_start"), help="studies that were made already"
    )
    given = parser.parse_args(arguments)
    keep = given.keep.resolve()
    keep.mkdir(parents=True, exist_ok=True)
    sets = names(given.sets)
    jobs = [(name, seed) for name in sets for seed in range(given.seeds)]
    with ProcessPoolExecutor(given.jobs) as pool:
        list(pool.map(partial(task_of_nothing, keep=keep), sets))
        results = dict(zip(jobs, pool.map(partial(run, keep=keep, n=given.n), jobs), strict=True))
    print(f"{len(sets)} data sets, {given.seeds} seeds: mean regret of the best so far")
    print(table(results, given.n))


def task_of_nothing(name: str, *, keep: Path) -> None:
    """Make the studies that are kept, before two jobs would make the same ones."""
    task_of(name, keep)


if __name__ == "__main__":
    main()
