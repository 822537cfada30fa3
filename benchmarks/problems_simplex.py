"""Problems on a simplex with a known optimum: weights that sum to one, as of a recommender or an ensemble.

Every combination of a loss and a place of its optimum, for any number of weights:

- losses: `sphere`, the squared distance; `skewed`, squared distances of which the heaviest counts 30 times
  the lightest, in a shuffled order; `entropic`, the Kullback-Leibler divergence of the shares, each raised by
  0.02 so that it stays finite at zero.
- optima: `inner`, all weights in use; `edge`, a third of them zero; `corner`, one above 0.7, half zero.

The loss is least, 0, at the optimum and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from tuner.space import FloatParam, SearchSpace, Sum

__all__ = ["PROBLEMS", "SimplexProblem", "make_problem"]

PROBLEMS = tuple(
    f"{loss}-{place}"
    for loss, place in product(("sphere", "skewed", "entropic"), ("inner", "edge", "corner"))
)

_STEEPEST = 30.0
_RAISE = 0.02


@dataclass(frozen=True)
class SimplexProblem:
    """One loss over weights w0, w1, ... >= 0 that sum to 1.

    Attributes:
        optimum: (n,), where the loss is 0.
        steepness: (n,), what each weight's part of the loss is multiplied by.
    """

    kind: str
    optimum: np.ndarray
    steepness: np.ndarray

    @property
    def space(self) -> SearchSpace:
        """The weights, and nothing else."""
        names = [f"w{i}" for i in range(len(self.optimum))]
        return SearchSpace([FloatParam(name, 0.0, 1.0) for name in names], [Sum(names, 1.0)])

    def loss(self, params: Mapping[str, object]) -> float:
        """How bad these weights are."""
        here = self._weights(params)
        if self.kind == "entropic":
            wanted, found = (raised / raised.sum() for raised in (self.optimum + _RAISE, here + _RAISE))
            return float((wanted * np.log(wanted / found)).sum())
        return float((self.steepness * (here - self.optimum) ** 2).sum())

    def distance(self, params: Mapping[str, object]) -> float:
        """Euclidean, from the optimum."""
        return float(np.linalg.norm(self._weights(params) - self.optimum))

    def _weights(self, params: Mapping[str, object]) -> np.ndarray:
        return np.array([params[f"w{i}"] for i in range(len(self.optimum))], dtype=float)


def make_problem(name: str, n: int, seed: int) -> SimplexProblem:
    """The problem of this name (see `PROBLEMS`) with `n` weights; the seed places its optimum."""
    kind, place = name.split("-")
    rng = np.random.default_rng([n, seed, PROBLEMS.index(name)])
    zeros = {"inner": 0, "edge": n // 3, "corner": n // 2}[place]
    optimum = np.append(rng.dirichlet(np.full(n - zeros, 2.0)), np.zeros(zeros))
    if place == "corner":
        optimum = 0.3 * optimum
        optimum[0] += 0.7
    steepness = np.geomspace(1.0, _STEEPEST, n) if kind == "skewed" else np.ones(n)
    return SimplexProblem(kind, rng.permutation(optimum), rng.permutation(steepness))
