"""The acquisition function: how much a configuration promises, judged by the surrogate."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import erfcx, ndtr

from tuner.generators.bayesian.surrogate import Array, Surrogate

__all__ = ["incumbents", "log_expected_improvement", "log_h"]

_NEAR, _FAR = -1.0, -1e6


def incumbents(surrogate: Surrogate, known: Array) -> list[float]:
    """The least mean at the `known` rows, finished and pending, as each member of the surrogate sees it.

    The mean, since a lucky measurement is not to be taken at its word.
    """
    return [float(mean.min()) for mean in surrogate.means_each(known)]


def log_expected_improvement(surrogate: Surrogate, bests: Sequence[float], x: Array) -> Array:
    """Log E[max(best - loss, 0)] at each row of `x`, (m, d) -> (m,). Most is best.

    Its logarithm, since far from the best the improvement itself is too small for a float, and flat (Ament
    et al. 2023, "Unexpected improvements to expected improvement for Bayesian optimization"). The expectation
    is over the members of the surrogate, too, each with a best of its own: see `incumbents`.
    """
    means, deviations = surrogate.predict_each(x)
    logs = log_h((np.array(bests)[:, None] - means) / deviations) + np.log(deviations)
    most = logs.max(axis=0)
    return np.asarray(most + np.log(np.exp(logs - most).mean(axis=0)))


def log_h(z: Array) -> Array:
    """log(phi(z) + z Phi(z)), of the standard normal density and distribution; finite for |z| up to 1e150.

    Above -1 as it stands. Below, the sum cancels: phi is taken out of it and erfcx keeps the rest exact;
    beyond -1e6 that rest is 1 / z**2.
    """
    z = np.asarray(z, dtype=float)
    low = np.minimum(z, _NEAR)
    held = np.maximum(low, _FAR)
    # From -1 to -0.65 is what is added to 1: the sum is exact.
    rest = np.log(1 + math.sqrt(math.pi / 2) * held * erfcx(held * -math.sqrt(0.5)))
    if (far := low < _FAR).any():
        rest = np.where(far, -2 * np.log(-low), rest)
    found = rest - low**2 / 2 - math.log(2 * math.pi) / 2
    near = z > _NEAR
    at = z[near]
    found[near] = np.log(np.exp(-(at**2) / 2) / math.sqrt(2 * math.pi) + at * ndtr(at))
    return np.asarray(found)
