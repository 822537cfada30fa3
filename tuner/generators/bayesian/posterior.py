"""Which hyperparameters of the Gaussian process the data leave likely: their posterior, its mode, draws.

The hyperparameters are one length scale for each parameter and the noise's share of the signal variance, all
as logarithms. The mean and the signal variance are not among them: at their best for given hyperparameters
they have a closed form (Rasmussen and Williams 2006, section 2.7).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError
from scipy.optimize import fmin_l_bfgs_b

from tuner.generators.bayesian.factors import Bordered, lower_inverse, solved
from tuner.generators.bayesian.noise import USUAL, NoisePrior
from tuner.generators.bayesian.surrogate import Array

__all__ = ["STRETCH", "Level", "Posterior", "correlation", "level"]

_SQRT3 = math.sqrt(3)
_LENGTHS = (math.log(0.02), math.log(1e3))
_GROWTH = 0.5
_N_STEPS = 40
_N_FOR_KINDS = 2
_N_BURNED = 5
_N_BETWEEN = 2
_N_SHRINKS = 30
_N_PRIOR, _N_PEAKS = 32, 4
_BELOW = 3.0
"""In log density: a twentieth as likely."""


STRETCH = 5 / 3
"""Squared distances are wanted this many times as large: it saves a look at each of them."""


def correlation(stretched: Array) -> Array:
    """Matern 5/2 of squared distances >= 0, in length scales and `STRETCH`ed, which are overwritten."""
    negative = np.sqrt(stretched)
    negative *= -_SQRT3
    found = stretched
    found -= negative
    found += 1
    found *= np.exp(negative, out=negative)
    return found


@dataclass(frozen=True)
class Level:
    """The best mean and signal variance for one covariance, given by its lower Cholesky `factor`.

    `whitened` is factor^-1 (y - mean). The variance is held near 1, the targets' own, as if one more
    observation of that size had been made: few points alone say little of it.
    """

    factor: Array
    mean: float
    variance: float
    whitened: Array


def level(factor: Array, y: Array) -> Level:
    """Find the level of `y`, (n,), under a covariance, given by its lower Cholesky factor, (n, n)."""
    ones, given = both = solved(factor, np.array([np.ones(len(y)), y]).T).T
    mean, variance = _mean_and_variance(both)
    return Level(factor, mean, variance, given - mean * ones)


def _mean_and_variance(both: Array) -> tuple[float, float]:
    """The level's, from factor^-1 1 and factor^-1 y: (2, n)."""
    (ones, mixed), (_, given) = (both @ both.T).tolist()
    mean = mixed / ones
    return mean, (given - mixed * mean + 1) / (both.shape[1] + 1)


class Posterior:
    """The posterior of the hyperparameters, up to a constant.

    Length scales have the prior of Hvarfner, Hellsten and Nardi (2024, "Vanilla Bayesian optimization
    performs great in high dimensions"): log-normal of location sqrt(2) + log(d) / 2 and scale sqrt(3), for d
    parameters. So they grow with the number of parameters, and a space of 38 of them is not hopeless.

    Args:
        x: (n, d) in the unit cube.
        y: (n,) of mean 0 and deviation 1, or all 0.
        owners: (d,) ascending; which parameter each column belongs to, from 0. The columns of a category
            share one length scale.
        noises: (n,) > 0; how noisy each of `y` is, as a multiple of the noise variance that is learned.
        prior: of the noise.
    """

    def __init__(
        self, x: Array, y: Array, owners: Sequence[int], noises: Array, prior: NoisePrior = USUAL
    ) -> None:
        self._y, self._noises, self._prior = y, noises, prior
        self.n_params = owners[-1] + 1
        # Each pair of rows once: half of the work of a symmetric matrix.
        self._later, self._earlier = np.tril_indices(len(x), -1)
        self._gaps = np.zeros((self.n_params, len(self._later)))
        for column, owner in zip(x.T, owners, strict=True):
            self._gaps[owner] += (column[self._later] - column[self._earlier]) ** 2
        self._gaps *= STRETCH
        self._bordered = Bordered(y, self._later, self._earlier)
        location = math.sqrt(2) + _GROWTH * math.log(self.n_params)
        self.center = np.array([location] * self.n_params + [prior.center])
        self.spread = np.array([math.sqrt(3)] * self.n_params + [prior.spread])
        noises_allowed = (math.log(prior.least), 0.0)
        self._low, self._high = np.array([_LENGTHS] * self.n_params + [noises_allowed]).T

    def log_density(self, theta: Array) -> tuple[float, Array]:
        """Likelihood and prior together, and the gradient."""
        z, noise = (theta - self.center) / self.spread, float(theta[-1])
        squares = np.exp(-2 * theta[:-1])
        found, steepness = _with_steepness(squares.dot(self._gaps))
        try:
            factor, both = self._bordered.factored(found, self._diagonal(noise))
        except LinAlgError:
            return -1e10, np.zeros_like(theta)
        mean, variance = _mean_and_variance(both)
        weights = solved(factor, both[1] - mean * both[0], transposed=True)
        slope = lower_inverse(factor, weights, -1 / variance)
        steepness *= slope[self._later, self._earlier]
        gradient = z / -self.spread
        gradient[:-1] -= self._gaps.dot(steepness) * squares
        correction, slope_of_it = self._prior.correction(noise)
        gradient[-1] += slope_of_it - 0.5 * math.exp(noise) * float(slope.diagonal() @ self._noises)
        return _log_likelihood(factor, variance) - float(z @ z) / 2 + correction, gradient

    def mode(self, n_steps: int = _N_STEPS) -> Array:
        """The most likely hyperparameters, from the prior's on: no earlier fit may sway a resumed study.

        It takes `n_steps` of L-BFGS at most.

        With more than two observations for each parameter, from every kind of noise on: each is a peak of its
        own, since without noise a bowl has longer length scales and a larger variance.
        """
        n_kinds = len(self._prior.kinds) if len(self._y) > _N_FOR_KINDS * self.n_params else 1
        starts = [np.append(self.center[:-1], noise) for _, noise, _ in self._prior.kinds[:n_kinds]]
        return max((self._peak(start, n_steps) for start in starts), key=lambda peak: peak[0])[1]

    def peaks(self, rng: np.random.Generator) -> list[Array]:
        """All that are about as likely, the most likely first: found from the prior's center and draws of it.

        One peak may be far below another (all is noise; or one parameter does everything, or its twin).
        """
        drawn = rng.standard_normal((_N_PRIOR, len(self.center))) * self.spread
        likely = sorted((self._bounded(each) for each in drawn), key=lambda one: -self.log_density(one)[0])
        starts = [self.center, *likely[:_N_PEAKS]]
        found = sorted((self._peak(each, _N_STEPS // 2) for each in starts), key=lambda peak: -peak[0])
        return [place for height, place in found if height > found[0][0] - _BELOW]

    def _peak(self, start: Array, n_steps: int) -> tuple[float, Array]:
        """The density and the place of the peak uphill from `start`."""

        def descent(theta: Array) -> tuple[float, Array]:
            density, gradient = self.log_density(theta)
            return -density, -gradient

        place, depth, _ = fmin_l_bfgs_b(
            descent,
            start.clip(self._low, self._high),
            bounds=list(zip(self._low, self._high, strict=True)),
            maxiter=n_steps,
        )
        return -float(depth), np.asarray(place)

    def draws(self, start: Array, n: int, rng: np.random.Generator, n_burned: int = _N_BURNED) -> list[Array]:
        """`n` draws by elliptical slice sampling (Murray, Adams and MacKay 2010), from `start` on.

        It needs no step width and suits a Gaussian prior. What lies beyond the bounds is moved onto them. The
        first `n_burned` steps only lead away from the start. Where there are several kinds of noise, each has
        a peak of its own, and the way between draws is longer.
        """
        n_between = _N_BETWEEN + len(self._prior.kinds) - 1
        place, height, drawn = start - self.center, self._height(start), []
        for i in range(n_burned + n * n_between):
            place, height = self._next(place, height, rng)
            if i >= n_burned and (i - n_burned) % n_between == n_between - 1:
                drawn.append(self._bounded(place))
        return drawn

    def _next(self, place: Array, height: float, rng: np.random.Generator) -> tuple[Array, float]:
        other = rng.standard_normal(len(place)) * self.spread
        threshold = height + math.log1p(-rng.random())
        angle = 2 * math.pi * rng.random()
        low, high = angle - 2 * math.pi, angle
        for _ in range(_N_SHRINKS):
            proposed = place * math.cos(angle) + other * math.sin(angle)
            found = self._height(self._bounded(proposed))
            if found > threshold:
                return proposed, found
            low, high = (angle, high) if angle < 0 else (low, angle)
            angle = low + (high - low) * rng.random()  # at half the cost of rng.uniform
        return place, height  # a slice too thin to be found: stay

    def _height(self, theta: Array) -> float:
        """The log density over that of the normal distribution that draws are proposed from."""
        noise = float(theta[-1])
        distances = np.exp(-2 * theta[:-1]).dot(self._gaps)
        try:
            factor, both = self._bordered.factored(correlation(distances), self._diagonal(noise))
        except LinAlgError:
            return -math.inf
        return _log_likelihood(factor, _mean_and_variance(both)[1]) + self._prior.correction(noise)[0]

    def _bounded(self, place: Array) -> Array:
        return np.asarray(np.minimum(np.maximum(self.center + place, self._low), self._high))

    def _diagonal(self, noise: float) -> Array:
        return math.exp(noise) * self._noises + (1 + self._prior.jitter)


def _with_steepness(stretched: Array) -> tuple[Array, Array]:
    """`correlation`, and twice how much it falls with each stretched distance."""
    roots = np.sqrt(stretched)
    roots *= _SQRT3
    decay = np.exp(-roots)
    roots += 1
    found = stretched + roots
    found *= decay
    roots *= decay
    return found, roots


def _log_likelihood(factor: Array, variance: float) -> float:
    log_root = float(np.add.reduce(np.log(factor.diagonal())))
    return -log_root - (len(factor) + 1) / 2 * math.log(variance)
