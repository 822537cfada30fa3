"""How likely a configuration keeps a limit: a surrogate of the excess over it, and where its zero lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from tuner.generators.bayesian.surrogate import Array

__all__ = ["Excess", "log_feasibility", "scaled_excess"]

_LARGEST = float(np.finfo(float).max) / 4
_WIDEST = 1e100


@dataclass(frozen=True)
class Excess:
    """`y`, (n,), of mean 0 and deviation 1 (0 throughout where all are equal); kept up to `threshold`."""

    y: Array
    threshold: float


def scaled_excess(excesses: Sequence[float]) -> Excess:
    """Excesses over a bound on a scale that is fine about 0 and coarse far from it: the sign is what matters.

    sign(e) log(1 + |e| / s), with s the median of |e|, of mean 0 and deviation 1.
    """
    e = np.clip(np.array(excesses, dtype=float), -_LARGEST, _LARGEST)
    sizes = np.abs(e)
    unit = max(float(np.median(sizes[sizes > 0])) if sizes.any() else 1.0, float(sizes.max()) / _WIDEST)
    bent = np.sign(e) * np.log1p(sizes / (unit or 1.0))
    center, scale = float(bent.mean()), float(bent.std())
    if scale <= 1e-12 * float(np.abs(bent).max(initial=1.0)):
        return Excess(np.zeros(len(e)), -center)
    return Excess((bent - center) / scale, -center / scale)


def log_feasibility(threshold: float, mean: Array, deviation: Array) -> Array:
    """Log P(excess <= 0), (q,): the probability of feasibility of Schonlau et al. (1998)."""
    return np.asarray(log_ndtr((threshold - mean) / deviation))
