# ruff: noqa: D102 - the contract in `surrogate` holds the docstrings
"""A Gaussian process on scikit-optimize's kernels and regressor, with one fit and cheap conditioning."""

from math import log, sqrt
from typing import Any, Self

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from skopt.learning import GaussianProcessRegressor
from skopt.learning.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tuner.generators.bayesian.surrogate import Array, Surrogate

__all__ = ["GaussianProcess"]

_N_FOR_KERNEL = 80
_N_FOR_MODEL = 1000
_N_EVALUATIONS = 30
_JITTER = 1e-8
_LEAST_VARIANCE = 1e-12


class GaussianProcess(Surrogate):
    """Matern 5/2 with one length scale per dimension, a signal variance and a noise variance.

    The kernel is fitted to at most 80 observations and the model to at most 1,000: the best, and as many
    spread over the rest. Up to 1,000 observations, all are learned from.
    """

    def __init__(self, kernel: Any, noise: float, x: Array, factor: Array, weights: Array) -> None:
        """`factor`: lower Cholesky factor of the covariance of `x` with noise; `weights`: factor^-1 y."""
        self._kernel, self._noise, self._x, self._factor, self._weights = kernel, noise, x, factor, weights

    @classmethod
    def fit(cls, x: Array, y: Array) -> Self:
        x, y = _thinned(x, y, _N_FOR_MODEL)
        kernel, noise = _fitted_kernel(*_thinned(x, y, _N_FOR_KERNEL))
        factor = cholesky(kernel(x) + noise * np.eye(len(x)), lower=True)
        return cls(kernel, noise, x, factor, solve_triangular(factor, y, lower=True))

    def condition(self, x: Array) -> Self:
        n, m = len(self._x), len(x)
        if m == 0:
            return self
        cross = self._whitened(x)
        rest = self._kernel(x) - cross.T @ cross + self._noise * np.eye(m)
        factor = np.zeros((n + m, n + m))
        factor[:n, :n], factor[n:, :n] = self._factor, cross.T
        factor[n:, n:] = cholesky(rest, lower=True)
        # What comes out at its mean tells nothing new: its share of the weights is zero.
        weights = np.concatenate([self._weights, np.zeros(m)])
        return type(self)(self._kernel, self._noise, np.vstack([self._x, x]), factor, weights)

    def predict(self, x: Array) -> tuple[Array, Array]:
        cross = self._whitened(x)
        variance = self._kernel.diag(x) - np.einsum("ij,ij->j", cross, cross)
        return cross.T @ self._weights, np.sqrt(np.maximum(variance, _LEAST_VARIANCE))

    def _whitened(self, x: Array) -> Array:
        """factor^-1 K(own x, x), of shape (n, m)."""
        return np.asarray(solve_triangular(self._factor, self._kernel(self._x, x), lower=True))


def _thinned(x: Array, y: Array, most: int) -> tuple[Array, Array]:
    """At most `most` observations in their given order: the best, and as many spread over the rest."""
    if len(x) <= most:
        return x, y
    order = np.argsort(y, kind="stable")
    n_best = most // 2
    even = np.linspace(n_best, len(y) - 1, most - n_best).round().astype(int)
    kept = np.sort(np.concatenate([order[:n_best], order[even]]))
    return x[kept], y[kept]


def _fitted_kernel(x: Array, y: Array) -> tuple[Any, float]:
    """The kernel without noise, and the noise variance, at the maximum of the posterior (few L-BFGS steps).

    Length scales have the log-normal prior of Hvarfner, Hellsten and Nardi (2024, "Vanilla Bayesian
    optimization performs great in high dimensions"), location sqrt(2) + log(d) / 2 and scale sqrt(3), and
    start at its mode. Signal and noise variance are log-normal around 1 and exp(-4). The start does not
    depend on an earlier fit, so that a resumed study fits what an uninterrupted one does.
    """
    d = x.shape[1]
    location, start = sqrt(2) + log(d) / 2, np.exp(sqrt(2) + log(d) / 2 - 3)
    matern = Matern(length_scale=np.full(d, start), length_scale_bounds=(1e-2, 1e3), nu=2.5)
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * matern + WhiteKernel(1e-2, (1e-6, 1.0))
    model = GaussianProcessRegressor(kernel=kernel, optimizer=None, alpha=_JITTER).fit(x, y)
    # theta is [log signal, log length scales, log noise].
    center = np.concatenate([[0.0], np.full(d, location), [-4.0]])
    spread = np.concatenate([[1.0], np.full(d, sqrt(3)), [1.0]])
    jacobian = np.concatenate([[0.0], np.ones(d), [0.0]])

    def negative_log_posterior(theta: Array) -> tuple[float, Array]:
        likelihood, gradient = model.log_marginal_likelihood(theta, eval_gradient=True, clone_kernel=False)
        z = (theta - center) / spread
        return float(z @ z / 2 + jacobian @ theta - likelihood), z / spread + jacobian - gradient

    found = minimize(
        negative_log_posterior,
        model.kernel_.theta,
        jac=True,
        method="L-BFGS-B",
        bounds=model.kernel_.bounds,
        options={"maxfun": _N_EVALUATIONS},
    )
    fitted = model.kernel_.clone_with_theta(found.x)
    return fitted.k1, float(fitted.k2.noise_level) + _JITTER
