"""Is what a study says it has learned calibrated? Where the truth is known, and by running ten more.

`mattered`: functions whose importances are known (of the noise-free value, over the whole space), searched by
`bayesian` and drawn at random, with 10, 20 and 50 results. "holds": how many of the stated intervals hold the
true share, to a whole percent, where eight in ten should; "active": of parameters that do something, which is
more than 2 % of the variance. "wrongly named": how many of those that do nothing are said to matter; "wrongly
dead": how many of those said to be dead do something. "named" and "dead": how many are said to be, of those
with a share of 20 % or more, and of those that do nothing.

`going_on`: searches of the problems of `../shared/bench` (or TUNING_PROBLEMS; else models on data that
scikit-learn ships) stop at 20 and at 40, say what ten more will gain, and run them. "pruned": an experiment
whose first report is worse than the median of those before it ends there, and is told as what the registry
keeps of it. Gains are in shares of the distance between the best known and the median of random search.

    python benchmarks/insight.py [mattered going_on] [--seeds 4] [--problems 'yahpo:*']
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.arena import problems
from benchmarks.peers.ours import search_space
from tuner.experiment import Observation, Params
from tuner.generators import make_generator
from tuner.importance import insight_of
from tuner.insight import MUCH, NOTHING, Importance
from tuner.space import CategoricalParam, FloatParam, Param, SearchSpace

Array = np.ndarray

SIZES = (10, 20, 50)
STOPS = (20, 40)
N_MORE = 10
N_TRUTH = 20_000
NOISE, PERCENT = 0.05, 0.01
N_SCALE = 50
LAG, BLUR = 0.5, 0.2
"""How much worse than its end an experiment stands at its first report, and how much that differs from one to
the next, in shares of the spread of random results."""


# ---- what mattered


@dataclass(frozen=True)
class Function:
    """A loss of known importances. `f` takes rows of numbers, (n, d): of a category, the index of one."""

    name: str
    space: SearchSpace
    f: Callable[[Array], Array]
    noise: float = NOISE

    def drawn(self, n: int, rng: np.random.Generator) -> Array:
        """Rows, (n, d), with a number for what is not active, too."""
        params = self.space.params.values()
        return np.column_stack(
            [
                rng.integers(0, len(each.choices), n).astype(float)
                if isinstance(each, CategoricalParam)
                else rng.random(n)
                for each in params
            ]
        )

    def row(self, params: Params) -> Array:
        """Of one configuration; 0 for what is not active, where `f` does not look at it."""
        numbers = []
        for name, param in self.space.params.items():
            value = params.get(name, 0.0)
            is_choice = isinstance(param, CategoricalParam) and name in params
            numbers.append(float(param.choices.index(value)) if is_choice else float(value or 0.0))  # type: ignore[union-attr]
        return np.array([numbers])

    def truth(self) -> dict[str, float]:
        """Total effects, by brute force; 0 where nothing does anything."""
        rng = np.random.default_rng(0)
        rows, other = self.drawn(N_TRUTH, rng), self.drawn(N_TRUTH, rng)
        values, shares = self.f(rows), {}
        for j, name in enumerate(self.space.names):
            moved = rows.copy()
            moved[:, j] = other[:, j]
            difference = float(((self.f(moved) - values) ** 2).mean())
            shares[name] = difference / 2 / float(values.var()) if values.var() > 0 else 0.0
        return shares

    def deviation(self) -> float:
        """Of the noise."""
        spread = float(self.f(self.drawn(N_TRUTH, np.random.default_rng(1))).std())
        return self.noise * (spread or 1.0)


def unit(n: int) -> SearchSpace:
    return SearchSpace([FloatParam(f"x{i}", 0, 1) for i in range(n)])


def branches() -> SearchSpace:
    """Four kinds with two parameters of their own each, and two for all."""
    kinds = ["a", "b", "c", "d"]
    own: list[Param] = [FloatParam(f"{k}{i}", 0, 1, when={"kind": k}) for k in kinds for i in (0, 1)]
    return SearchSpace(
        [CategoricalParam("kind", kinds), *own, FloatParam("y0", 0, 1), FloatParam("y1", 0, 1)]
    )


def of_branches(rows: Array) -> Array:
    """Each kind is as good as the others but for one parameter of its own."""
    kind = rows[:, 0].astype(int)
    own = rows[np.arange(len(rows)), 1 + 2 * kind]
    return np.asarray((own - np.array([0.2, 0.4, 0.6, 0.8])[kind]) ** 2 + 0.05 * kind)


def functions() -> list[Function]:
    """Most of their parameters do nothing."""
    weights, centers = np.array([2.0, 1.4, 1.0, 0.7, 0.5]), np.array([0.2, 0.7, 0.4, 0.9, 0.5])

    def two(x: Array) -> Array:
        return 4 * (x[:, 0] - 0.3) ** 2 + 0.9 * x[:, 1]

    return [
        Function("two of 8", unit(8), two),
        Function("two of 8, half is noise", unit(8), two, 1.0),
        Function("none of 8", unit(8), lambda x: np.zeros(len(x)), 1.0),
        Function("five of 14", unit(14), lambda x: ((x[:, :5] - centers) ** 2) @ weights),
        Function("two together", unit(8), lambda x: 4 * (x[:, 0] - 0.5) * (x[:, 1] - 0.5) + 0.5 * x[:, 2]),
        Function("a cliff", unit(8), lambda x: (x[:, 0] > 0.8) + 0.3 * x[:, 1]),
        Function("branches", branches(), of_branches),
    ]


def results_of(function: Function, how: str, n: int, seed: int) -> list[Observation]:
    """What a study of `n` experiments finds, in their order."""
    rng = np.random.default_rng([seed, 7])
    generator = make_generator(how, function.space, seed=seed)
    deviation, results = function.deviation(), list[Observation]()
    for _ in range(n):
        [one] = generator.ask()
        value = float(function.f(function.row(one.params))[0] + deviation * rng.standard_normal())
        results.append(Observation(one.params, value))
        generator.tell(results[-1:])
    return results


@dataclass(frozen=True)
class Said:
    """What was said of one parameter, and what is true."""

    function: str
    how: str
    n: int
    said: Importance
    true: float

    @property
    def holds(self) -> bool:
        """Shares are printed as whole percents."""
        return self.said.low - PERCENT <= self.true <= self.said.high + PERCENT


def judged(given: argparse.Namespace) -> Iterator[Said]:
    for function in functions():
        true = function.truth()
        for how in ("bayesian", "random"):
            for seed in range(given.seeds):
                results = results_of(function, how, max(SIZES), seed)
                for n in SIZES:
                    found = insight_of(
                        function.space, results[:n], direction="minimize", gain=False, seed=seed
                    )
                    for each in found.importances:
                        yield Said(function.name, how, n, each, true[each.name])
            print(f"{function.name}, {how}: done", file=sys.stderr, flush=True)


def share(some: Sequence[bool]) -> str:
    return f"{sum(some)}/{len(some)}" if len(some) < 100 else f"{np.mean(some):.1%}"


def line(some: Sequence[Said]) -> list[str]:
    idle = [each for each in some if each.true <= NOTHING]
    active = [each for each in some if each.true > NOTHING]
    dead = [each for each in some if each.said.dead]
    return [
        share([each.holds for each in some]),
        share([each.holds for each in active]),
        f"{median(each.said.high - each.said.low for each in some):.0%}" if some else "",
        share([each.said.low > NOTHING for each in idle]),
        share([each.true > NOTHING for each in dead]),
        share([each.said.low > NOTHING for each in some if each.true >= MUCH]),
        share([each.said.dead for each in idle]),
    ]


HEADS = ("holds", "active", "median width", "wrongly named", "wrongly dead", "named", "dead")


def mattered(given: argparse.Namespace) -> str:
    every = list(judged(given))
    by_size = [
        [how, n, *line([each for each in every if (each.how, each.n) == (how, n)])]
        for how in ("bayesian", "random")
        for n in SIZES
    ]
    by_function = [
        [function.name, n, *line([each for each in every if (each.function, each.n) == (function.name, n)])]
        for function in functions()
        for n in SIZES
    ]
    return "\n\n".join(
        tabulate(rows, (first, "results", *HEADS), "github", disable_numparse=True)
        for first, rows in (("drawn by", by_size), ("function", by_function))
    )


# ---- going on


class Running:
    """One search of a problem, experiment by experiment."""

    def __init__(self, name: str, seed: int, pruned: bool) -> None:
        self.problem = problems.make(name)
        self.space = search_space(self.problem.space)
        self.seed, self._pruned = seed, pruned
        self._measure = self.problem.session()
        self._rng = np.random.default_rng([seed, 8])
        self.results: list[Observation] = []
        self._pending: list[Params] = []
        self._stood: list[float] = []
        scale = self.problem.known_scale
        if scale is None:
            drawn = [self.problem.session()(dict(self.space.sample(self._rng)))[0] for _ in range(N_SCALE)]
            scale = min(drawn), median(drawn)
        self.unit = scale[1] - scale[0]

    def go_on(self, n: int) -> None:
        for _ in range(n):
            generator = make_generator("bayesian", self.space, seed=self.seed, n_asked=len(self.results))
            generator.tell(self.results, self._pending)
            asked = generator.ask()
            if not asked:
                return
            loss, measured = self._measure(dict(asked[0].params))
            if measured != asked[0].params:  # of a table, the nearest: what was asked is not asked again
                self._pending.append(asked[0].params)
            self.results.append(self._ended(measured, loss))

    def _ended(self, measured: Params, loss: float) -> Observation:
        stands = loss + self.unit * (LAG + BLUR * self._rng.standard_normal())
        before, self._stood = self._stood, [*self._stood, stands]
        if self._pruned and len(before) >= 5 and stands > median(before):
            return Observation(measured, stands, partial=True)
        return Observation(measured, loss)

    @property
    def best(self) -> float:
        return min(each.value for each in self.results if each.value is not None and not each.partial)

    @property
    def n_pruned(self) -> int:
        return sum(each.partial for each in self.results)


@dataclass(frozen=True)
class Went:
    """What was expected of ten more, and what came."""

    kind: str
    pruned: bool
    n: int
    mean: float
    low: float
    high: float
    came: float


def went(given: argparse.Namespace) -> Iterator[Went]:
    for name in problems.selected(given.problems, aside=False):
        for pruned in (False, True):
            for seed in range(given.seeds):
                running = Running(name, seed, pruned)
                for n in STOPS:
                    running.go_on(n - len(running.results))
                    gain = insight_of(running.space, running.results, direction="minimize", seed=seed).gain
                    before = running.best
                    running.go_on(N_MORE)
                    if gain is None:
                        continue
                    numbers = (gain.mean, gain.low, gain.high, before - running.best)
                    yield Went(problems.kind_of(name), pruned, n, *(each / running.unit for each in numbers))
        print(f"{name}: done", file=sys.stderr, flush=True)


def going_on(given: argparse.Namespace) -> str:
    every = list(went(given))
    rows = []
    for pruned in (False, True):
        for n in STOPS:
            for kind in ["all", *sorted({each.kind for each in every})]:
                some = [e for e in every if (e.pruned, e.n) == (pruned, n) and kind in ("all", e.kind)]
                rows.append(
                    [
                        "pruned" if pruned else "whole",
                        n,
                        kind,
                        len(some),
                        share([each.came < each.low for each in some]),
                        share([each.low <= each.came <= each.high for each in some]),
                        share([each.came > each.high for each in some]),
                        f"{np.mean([each.mean for each in some]):.3f}",
                        f"{np.mean([each.came for each in some]):.3f}",
                    ]
                )
    heads = ("results", "after", "problems", "studies", "below", "within", "above", "mean said", "mean came")
    return tabulate(rows, heads, "github", disable_numparse=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", default=["mattered", "going_on"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--problems")
    given = parser.parse_args()
    for name in given.sections:
        print({"mattered": mattered, "going_on": going_on}[name](given), end="\n\n")


if __name__ == "__main__":
    main()
