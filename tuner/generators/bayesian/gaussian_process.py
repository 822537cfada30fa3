# ruff: noqa: D102 - the contract in `surrogate` holds the docstrings
"""A Gaussian process whose hyperparameters are not settled upon but drawn: a mixture of plain ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.linalg import LinAlgError

from tuner.generators.bayesian.factors import factored, whitener
from tuner.generators.bayesian.noise import USUAL, NoisePrior
from tuner.generators.bayesian.posterior import STRETCH, Posterior, correlation, level
from tuner.generators.bayesian.surrogate import Array, Surrogate

__all__ = ["GaussianProcess"]

_N_FOR_MODEL = 1000
_N_FOR_POSTERIOR = 100
_N_MEMBERS = 8
_N_FOR_ONE = 300
_N_STEPS = 20
_N_WIDE, _N_BURNED = 32, 30
_N_PENDING = 2
_LEAST_VARIANCE = 1e-12
_N_AT_ONCE = 24_000


@dataclass(frozen=True)
class _Member(Surrogate):
    """One Gaussian process of fixed hyperparameters: Matern 5/2, a constant mean, noise.

    Attributes:
        scales: (d,), one over the length scale of each column.
        noise: its variance in shares of the signal's, for an observation as noisy as most.
        jitter: what is added to that, so that points that coincide can be told of.
        x: (n, d), in length scales.
        whitener: the inverse of the lower Cholesky factor of the correlation of `x` with noise.
        weights: whitener (y - mean).
    """

    scales: Array
    noise: float
    jitter: float
    mean: float
    variance: float
    x: Array
    whitener: Array
    weights: Array

    @classmethod
    def of(
        cls, theta: Array, owners: Sequence[int], x: Array, y: Array, noises: Array, prior: NoisePrior
    ) -> Self:
        scales = np.exp(-theta[:-1])[list(owners)]
        scaled = x * scales
        noise = math.exp(theta[-1])
        covariance = _raised(_correlations(scaled, scaled), noise * noises + prior.jitter)
        found = level(_factor(covariance), y)
        return cls(
            scales,
            noise,
            prior.jitter,
            found.mean,
            found.variance,
            scaled,
            whitener(found.factor),
            found.whitened,
        )

    @property
    def noises(self) -> Array:
        return np.array([self.noise * self.variance])

    def condition(self, x: Array) -> Self:
        scaled = x * self.scales
        cross = self._whitened(scaled)
        rest = _correlations(scaled, scaled) - cross @ cross.T
        n = len(self.x)
        block = whitener(_factor(_raised(rest, self.noise + self.jitter)))
        whole = np.zeros((n + len(x), n + len(x)))
        whole[:n, :n], whole[n:, :n], whole[n:, n:] = self.whitener, -block @ cross @ self.whitener, block
        # What comes out at its mean tells nothing new: its share of the weights is zero.
        weights = np.concatenate([self.weights, np.zeros(len(x))])
        return replace(self, x=np.vstack([self.x, scaled]), whitener=whole, weights=weights)

    def predict(self, x: Array) -> tuple[Array, Array]:
        cross = self._whitened(x * self.scales)
        share = 1 - np.einsum("ij,ij->i", cross, cross)
        return cross @ self.weights + self.mean, np.sqrt(np.maximum(share, _LEAST_VARIANCE) * self.variance)

    def drawn(self, x: Array, rng: np.random.Generator) -> Array:
        scaled = x * self.scales
        cross = self._whitened(scaled)
        rest = _correlations(scaled, scaled) - cross @ cross.T
        offsets = _factor(rest) @ rng.standard_normal(len(x))
        return np.asarray(cross @ self.weights + self.mean + math.sqrt(self.variance) * offsets)[None, :]

    def _whitened(self, scaled: Array) -> Array:
        """The correlations of (m, d) rows with what is known, whitened: (m, n)."""
        return np.asarray(_correlations(scaled, self.x) @ self.whitener.T)


@dataclass(frozen=True)
class _Stack:
    """The arrays of k members side by side: all at once they take half of the time for few rows.

    Attributes:
        right: (2 d + 1, k n); see `_left_of_all`.
        whiteners: (k, n, n), transposed.
        weights: (k, n, 1).
        means, variances: (k, 1).
    """

    right: Array
    whiteners: Array
    weights: Array
    means: Array
    variances: Array

    @classmethod
    def of(cls, members: Sequence[_Member]) -> Self:
        scales, x = np.array([each.scales for each in members]), np.array([each.x for each in members])
        right = np.empty((2 * x.shape[2] + 1, *x.shape[:2]))
        right[0] = np.einsum("kij,kij->ki", x, x)
        squares, products = np.split(right[1:], 2)
        squares[:] = (scales**2).T[:, :, None]
        products[:] = (x * (-2 * scales[:, None, :])).transpose(2, 0, 1)
        right *= STRETCH
        return cls(
            right.reshape(len(right), -1),
            np.array([each.whitener.T for each in members]),
            np.array([each.weights for each in members])[:, :, None],
            np.array([each.mean for each in members])[:, None],
            np.array([each.variance for each in members])[:, None],
        )

    def means_at(self, x: Array) -> Array:
        """Means at rows, (m, d): (k, m)."""
        pulls = self.whiteners @ self.weights
        return np.asarray((self._correlations(_left_of_all(x)) @ pulls)[:, :, 0] + self.means)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Means and deviations at rows, (m, d): (k, m) each."""
        left, shape = _left_of_all(x), (len(self.means), len(x))
        means, told = np.empty(shape), np.empty(shape)
        # As many rows at a time as the processor holds near: two or three times as fast.
        width = max(1, _N_AT_ONCE // self.weights.size)
        for start in range(0, len(x), width):
            some = slice(start, start + width)
            cross = self._correlations(left[some]) @ self.whiteners
            np.einsum("kij,kij->ki", cross, cross, out=told[:, some])
            means[:, some] = (cross @ self.weights)[:, :, 0]
        return means + self.means, np.sqrt(np.maximum(1 - told, _LEAST_VARIANCE) * self.variances)

    def _correlations(self, left: Array) -> Array:
        """Of m rows, given as `_left_of_all` has them, with what is known: (k, m, n)."""
        squares = left @ self.right
        found = correlation(np.maximum(squares, 0.0, out=squares))
        return found.reshape(len(left), *self.weights.shape[:2]).transpose(1, 0, 2)


def _left_of_all(x: Array) -> Array:
    """(1, x^2, x), times (|b|^2, scale^2, -2 scale b): squared distances from b in any length scales."""
    return np.hstack([np.ones((len(x), 1)), x * x, x])


class GaussianProcess(Surrogate):
    """Matern 5/2 with one length scale per parameter, averaged over what hyperparameters the data allow.

    With few observations many length scales are likely, and the best of them is a bold guess: eight draws
    from the posterior (`Posterior.draws`) hedge it. The posterior is taken of at most 100 observations and
    the model made of at most 1,000: the best, and as many spread over the rest. The larger the model, the
    surer it is and the fewer are the draws, so that the time to propose stays bounded: eight up to 100
    observations, four up to 300, then the mode alone. What is pending makes a model larger, too: some of the
    draws are left out, two at least being kept.
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
        n_members = _most_members(len(x))
        # Half of the way will do to start draws from, but does not tell which of two peaks is the higher.
        near = n_members > 1 and len(prior.kinds) == 1
        mode = posterior.mode(_N_STEPS) if near else posterior.mode()
        # Always the same stream: equal data must give an equal model in every process.
        thetas = [mode] if n_members == 1 else posterior.draws(mode, n_members, np.random.default_rng(0))
        return cls([_Member.of(theta, owners, x, y, noises, prior) for theta in thetas])

    @classmethod
    def fit_widely(
        cls, x: Array, y: Array, owners: Sequence[int], noises: Array, prior: NoisePrior = USUAL
    ) -> Self:
        """The same of the whole space rather than of what is near the best, and warier.

        Of many observations it keeps 300 spread over all values. Its 32 draws begin at all likely peaks of
        the posterior and go far from them, each on its own, so that twins come out alike: it takes several
        times as long as `fit`, and is for a report.
        """
        kept = _spread_over(y, _N_FOR_ONE)
        x, y, noises = x[kept], y[kept], noises[kept]
        few = _spread_over(y, _N_FOR_POSTERIOR)
        posterior = Posterior(x[few], y[few], owners, noises[few], prior)
        rng = np.random.default_rng(0)
        peaks = posterior.peaks(rng)
        starts = [peaks[i % len(peaks)] for i in range(_N_WIDE)]
        thetas = [posterior.draws(start, 1, rng, _N_BURNED)[0] for start in starts]
        return cls([_Member.of(theta, owners, x, y, noises, prior) for theta in thetas])

    @property
    def members(self) -> Sequence[Surrogate]:
        return self._members

    @property
    def noises(self) -> Array:
        return np.concatenate([member.noises for member in self._members])

    def predict_each(self, x: Array) -> tuple[Array, Array]:
        if len(self._members[0].x) > _N_FOR_POSTERIOR:
            return super().predict_each(x)  # large models would push each other out of what is near
        return self._stacked.predict(x)

    def means_each(self, x: Array) -> Array:
        return self._stacked.means_at(x)

    @cached_property
    def _stacked(self) -> "_Stack":
        return _Stack.of(self._members)

    def condition(self, x: Array) -> Self:
        if not len(x):
            return self
        most = max(_N_PENDING, _most_members(len(self._members[0].x) + len(x)))
        kept = self._members[:: max(1, len(self._members) // most)]
        return type(self)([member.condition(x) for member in kept])

    def drawn(self, x: Array, rng: np.random.Generator) -> Array:
        return np.vstack([member.drawn(x, rng) for member in self._members])

    def predict(self, x: Array) -> tuple[Array, Array]:
        means, deviations = self.predict_each(x)
        return means.mean(axis=0), np.sqrt((deviations**2).mean(axis=0) + means.var(axis=0))


def _most_members(n: int) -> int:
    """How many draws are made of a model of `n` observations; two would often miss one of several peaks."""
    return _N_MEMBERS if n <= _N_FOR_POSTERIOR else _N_MEMBERS // 2 if n <= _N_FOR_ONE else 1


def _correlations(a: Array, b: Array) -> Array:
    """Of each row of `a` with each of `b`, both in length scales."""
    squares = _left(a) @ _right(b)
    return correlation(np.maximum(squares, 0.0, out=squares))


def _left(a: Array) -> Array:
    """(|a|^2, 1, a), times (1, |b|^2, -2 b): one product, as a sum of three arrays takes longer than that."""
    left = np.ones((*a.shape[:-1], a.shape[-1] + 2))
    left[..., 0], left[..., 2:] = np.einsum("...j,...j->...", a, a), a
    return left


def _right(b: Array) -> Array:
    """(1, |b|^2, -2 b) `STRETCH`ed, as columns."""
    right = np.ones((len(b), b.shape[1] + 2))
    right[:, 1], right[:, 2:] = np.einsum("ij,ij->i", b, b), -2 * b
    right *= STRETCH
    return right.T


def _factor(covariance: Array) -> Array:
    """The lower Cholesky factor, with as little added to the diagonal as rounding asks for."""
    for jitter in (0.0, 1e-8, 1e-6, 1e-4):
        try:
            return factored(_raised(covariance.copy(), jitter))
        except LinAlgError:
            continue
    return factored(_raised(covariance, 1e-2))


def _raised(covariance: Array, by: Array | float) -> Array:
    """The same array, (n, n), with so much more on its diagonal."""
    np.einsum("ii->i", covariance)[:] += by  # a view, however the array lies in memory
    return covariance


def _kept(y: Array, most: int) -> "np.ndarray":
    """Indices of at most `most` observations, ascending: the best, and as many spread over the rest."""
    if len(y) <= most:
        return np.arange(len(y))
    order = np.argsort(y, kind="stable")
    n_best = most // 2
    even = np.linspace(n_best, len(y) - 1, most - n_best).round().astype(int)
    return np.sort(np.concatenate([order[:n_best], order[even]]))


def _spread_over(y: Array, most: int) -> "np.ndarray":
    """Indices of at most `most` observations, ascending: spread evenly over the order of their values."""
    if len(y) <= most:
        return np.arange(len(y))
    order = np.argsort(y, kind="stable")
    return np.sort(order[np.linspace(0, len(y) - 1, most).round().astype(int)])
