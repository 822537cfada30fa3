"""From losses to what the surrogate learns: outliers drawn in, failures bad but finite, all on one scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from sys import float_info

import numpy as np

from tuner.generators.bayesian.surrogate import Array
from tuner.generators.history import Result

__all__ = ["Targets", "noises_of", "scaled"]

_N_FOR_LIMIT = 4
_N_SPREADS = 2.0
_MOST_OF_BOWL = 0.9
_ROUNDING = 1e-14
_RATIOS = (0.1, 10.0)
_PARTIAL = 4.0

_ERRORS = (1e-150, 1e150)
"""Between these no sum and no ratio of standard errors overflows."""


@dataclass(frozen=True)
class Targets:
    """`y`, (n,), of mean 0 and deviation 1 (0 throughout where all are equal); loss = center + scale * y."""

    y: Array
    center: float
    scale: float


def scaled(losses: Sequence[float | None], *, smooth: bool = False) -> Targets:
    """Bring finite losses, at least one of them known, to mean 0 and deviation 1.

    A loss far above the median counts as the limit: how bad a bad one is says nothing about where the best
    lies, and one outlier must not flatten all the rest. A failure (None) counts as the worst that remains.
    Of a `smooth` loss the walls say where the bottom is, and a limit would be an edge in it: there it is far
    above nine tenths.
    """
    # An eighth of each, so that no sum or difference of the largest floats overflows.
    eighths = [None if loss is None else loss / 8 for loss in losses]
    known = np.array([loss for loss in eighths if loss is not None])
    limit = _limit_of_bowl(known) if smooth else _limit(known)
    worst = min(limit, float(known.max()))
    drawn_in = np.array([worst if loss is None else min(loss, limit) for loss in eighths])
    center = float((drawn_in / len(drawn_in)).sum())
    offsets = drawn_in - center
    reach = float(np.abs(offsets).max())
    if reach <= max(_ROUNDING * float(np.abs(drawn_in).max()), float_info.min):
        return Targets(np.zeros(len(drawn_in)), 8 * center, 1.0)
    y = offsets / reach
    deviation = float(y.std())
    return Targets(y / deviation, 8 * center, 8 * reach * deviation)


def _limit(known: Array) -> float:
    """Median plus twice the spread of the better half; infinite for few losses or without any spread."""
    if len(known) < _N_FOR_LIMIT:
        return float("inf")
    # Quantiles, at a tenth of what `np.quantile` takes of so few.
    best, quarter, median = np.interp([0.0, 0.25, 0.5], np.linspace(0.0, 1.0, len(known)), np.sort(known))
    spread = max(median - quarter, (median - best) / 2)
    return float(median + _N_SPREADS * spread) if spread > 0 else float("inf")


def _limit_of_bowl(known: Array) -> float:
    """Twice as far above the 90 % quantile as that is above the best; infinite where that is no limit."""
    if len(known) < _N_FOR_LIMIT:
        return float("inf")
    best, high = np.quantile(known, [0.0, _MOST_OF_BOWL], method="lower")
    return float(high + _N_SPREADS * (high - best)) if high > best else float("inf")


def noises_of(results: Sequence[Result]) -> Array:
    """How noisy each is, (n,) > 0, in multiples of the usual: its squared standard error, where known.

    The usual itself is left to the surrogate to learn. A standard error over folds is no good measure of it:
    folds that are hard for all configurations make it large and change no comparison.
    """
    errors = np.array([math.nan if each.std_error is None else each.std_error for each in results])
    errors = np.where(errors > 0, np.clip(errors, *_ERRORS), errors)
    known = errors[errors > 0]
    ratios = np.clip(errors / (float(np.median(known)) if len(known) else 1.0), *_RATIOS)
    runs = np.array([each.n for each in results], dtype=float)
    noises = np.where(np.isnan(ratios), 1.0 / runs, ratios**2)
    return np.asarray(noises * np.array([_PARTIAL if each.partial else 1.0 for each in results]))
