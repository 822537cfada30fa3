# ruff: noqa: D102 - the contract in `surrogate` holds the docstrings
"""A Gaussian process whose hyperparameters are not settled upon but drawn: a mixture of plain ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.linalg import LinAlgError

from tuner.generators.bayesian.factors import factored, solved
from tuner.generators.bayesian.noise import USUAL, NoisePrior
from tuner.generators.bayesian.posterior import JITTER, Posterior, correlation, level
from tuner.generators.bayesian.surrogate import Array, Surrogate

__all__ = ["GaussianProcess"]

_N_FOR_MODEL = 1000
_N_FOR_POSTERIOR = 100
_N_MEMBERS = 8
_N_PENDING = 2
_N_PREDICTED = 2000
_LEAST_VARIANCE = 1e-10


@dataclass(frozen=True)
class _Member:
    """One Gaussian process of fixed hyperparameters: Matern 5/2, a constant mean, noise.

    Attributes:
        scales: (d,), one over the length scale of each column.
        noise: its variance in shares of the signal's, for an observation as noisy as most.
        x: (n, d), in length scales.
        factor: lower Cholesky factor of the correlation of `x` with noise.
        weights: factor^-1 (y - mean).
    """

    scales: Array
    noise: float
    mean: float
    variance: float
    x: Array
    factor: Array
    weights: Array

    @classmethod
    def of(cls, theta: Array, owners: Sequence[int], x: Array, y: Array, noises: Array) -> Self:
        scales = np.exp(-theta[:-1])[list(owners)]
        noise = math.exp(theta[-1])
        scaled = x * scales
        found = level(_correlations(scaled, scaled) + np.diag(noise * noises + JITTER), y)
        return cls(scales, noise, found.mean, found.variance, scaled, found.factor, found.whitened)

    def condition(self, x: Array) -> Self:
        scaled = x * self.scales
        cross = solved(self.factor, _correlations(scaled, self.x).T)
        rest = _correlations(scaled, scaled) - cross.T @ cross + (self.noise + JITTER) * np.eye(len(x))
        n = len(self.x)
        factor = np.zeros((n + len(x), n + len(x)), order="F")
        factor[:n, :n], factor[n:, :n] = self.factor, cross.T
        factor[n:, n:] = factored(rest)
        # What comes out at its mean tells nothing new: its share of the weights is zero.
        weights = np.concatenate([self.weights, np.zeros(len(x))])
        return replace(self, x=np.vstack([self.x, scaled]), factor=factor, weights=weights)

    def predict(self, x: Array) -> tuple[Array, Array]:
        cross = solved(self.factor, _correlations(x * self.scales, self.x).T)
        share = 1 - np.einsum("ij,ij->j", cross, cross)
        return cross.T @ self.weights + self.mean, np.sqrt(np.maximum(share, _LEAST_VARIANCE) * self.variance)

    def drawn(self, x: Array, rng: np.random.Generator) -> Array:
        scaled = x * self.scales
        cross = solved(self.factor, _correlations(scaled, self.x).T)
        rest = _correlations(scaled, scaled) - cross.T @ cross
        offsets = _factor(rest) @ rng.standard_normal(len(x))
        return np.asarray(cross.T @ self.weights + self.mean + math.sqrt(self.variance) * offsets)


class GaussianProcess(Surrogate):
    """Matern 5/2 with one length scale per parameter, averaged over what hyperparameters the data allow.

    With few observations many length scales are likely, and the best of them is a bold guess: eight draws
    from the posterior (`Posterior.draws`) hedge it. The posterior is taken of at most 100 observations and
    the model made of at most 1,000: the best, and as many spread over the rest. The larger the model, the
    fewer the draws, so that the time to propose stays bounded; beyond 300 observations it is the mode alone.
    What is pending makes a model larger, too: beyond 300 with it, every fourth of the eight draws is kept.
    """

    def __init__(self, members: Sequence[_Member]) -> None:
        self._members = tuple(members)

    @classmethod
    def fit(
        cls,
        x: Array,
        y: Array,
        owners: Sequence[int] | None = None,
        noises: Array | None = None,
        prior: NoisePrior = USUAL,
    ) -> Self:
        """Learn from `x`, (n, d) in the unit cube, and `y`, (n,) of mean 0 and deviation 1 or all 0.

        Args:
            x: as above.
            y: as above.
            owners: (d,) ascending from 0; which parameter each column belongs to. One each if not given.
            noises: (n,) > 0; how noisy each of `y` is, as a multiple of what is learned. 1 if not given.
            prior: of the noise.
        """
        owners = range(x.shape[1]) if owners is None else owners
        noises = np.ones(len(x)) if noises is None else noises
        kept = _kept(y, _N_FOR_MODEL)
        x, y, noises = x[kept], y[kept], noises[kept]
        few = _kept(y, _N_FOR_POSTERIOR)
        posterior = Posterior(x[few], y[few], owners, noises[few], prior)
        mode = posterior.mode()
        n_members = _most_members(len(x))
        # Always the same stream: equal data must give an equal model in every process.
        thetas = [mode] if n_members == 1 else posterior.draws(mode, n_members, np.random.default_rng(0))
        return cls([_Member.of(theta, owners, x, y, noises) for theta in thetas])

    @property
    def members(self) -> Sequence[Surrogate]:
        return [type(self)([member]) for member in self._members]

    def condition(self, x: Array) -> Self:
        if not len(x):
            return self
        most = max(_N_PENDING, _most_members(len(self._members[0].x) + len(x)))
        kept = self._members[:: max(1, len(self._members) // most)]
        return type(self)([member.condition(x) for member in kept])

    def drawn(self, x: Array, rng: np.random.Generator) -> Array:
        return np.array([member.drawn(x, rng) for member in self._members])

    def predict(self, x: Array) -> tuple[Array, Array]:
        predicted = [member.predict(x) for member in self._members]
        means, deviations = (np.array(part) for part in zip(*predicted, strict=True))
        return means.mean(axis=0), np.sqrt((deviations**2).mean(axis=0) + means.var(axis=0))


def _most_members(n: int) -> int:
    """How many draws are made of a model of `n` observations."""
    return _N_MEMBERS if n <= 100 else _N_MEMBERS // 2 if n <= 300 else 1


def _correlations(a: Array, b: Array) -> Array:
    """Of each row of `a` with each of `b`, both in length scales."""
    squares = a @ (-2 * b.T)
    squares += np.einsum("ij,ij->i", a, a)[:, None]
    squares += np.einsum("ij,ij->i", b, b)
    return correlation(np.maximum(squares, 0.0, out=squares))


def _factor(covariance: Array) -> Array:
    """The lower Cholesky factor, with as little added to the diagonal as rounding asks for."""
    for jitter in (1e-8, 1e-6, 1e-4):
        try:
            return factored(covariance + jitter * np.eye(len(covariance)))
        except LinAlgError:
            continue
    return factored(covariance + 1e-2 * np.eye(len(covariance)))


def _kept(y: Array, most: int) -> "np.ndarray":
    """Indices of at most `most` observations, ascending: the best, and as many spread over the rest."""
    if len(y) <= most:
        return np.arange(len(y))
    order = np.argsort(y, kind="stable")
    n_best = most // 2
    even = np.linspace(n_best, len(y) - 1, most - n_best).round().astype(int)
    return np.sort(np.concatenate([order[:n_best], order[even]]))
