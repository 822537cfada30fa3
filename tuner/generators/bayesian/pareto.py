"""Several losses at once: hypervolume, what is left to gain of it, and how much of that to expect.

The hypervolume of a set is the volume that it dominates below a reference point (Zitzler and Thiele 1998).
All is exact, and by the same cut: slabs along the last loss, in each of which the rest is a smaller problem.
With n points and m losses it takes O(n^(m-1)) boxes: sheer nothing for two losses, and fine for fronts of
some dozens in three or four.
"""

from dataclasses import dataclass
from math import factorial
from typing import Self

import numpy as np
from scipy.special import logsumexp

from tuner.generators.bayesian.acquisition import log_h
from tuner.generators.bayesian.surrogate import Array
from tuner.goals import front

__all__ = ["Cells", "cells_beyond", "hypervolume"]

_LEAST_STEP = -1e-15
_N_CELLS = 200
_MARGIN = 0.1
_LEAST_MARGIN = 1.0
_TRADE = 0.03


def hypervolume(losses: Array, reference: Array) -> float:
    """The volume that `losses`, (n, m), dominate below `reference`, (m,). Less is better in each loss."""
    below = losses[(losses < reference).all(axis=1)]
    if not len(below):
        return 0.0
    if losses.shape[1] == 1:
        return float(reference[0] - below.min())
    below = below[np.argsort(below[:, -1], kind="stable")]
    ends = np.append(below[1:, -1], reference[-1])
    slabs = (
        hypervolume(below[: i + 1, :-1], reference[:-1]) * (end - below[i, -1])
        for i, end in enumerate(ends)
        if end > below[i, -1]
    )
    return float(sum(slabs))


@dataclass(frozen=True)
class Cells:
    """What lies below a reference point and no point of a front dominates, as boxes that do not overlap.

    Attributes:
        lower: (n_cells, m), -inf where a box has no end.
        upper: (n_cells, m).
    """

    lower: Array
    upper: Array

    @classmethod
    def of(cls, front: Array, reference: Array) -> Self:
        """The cells of a front, (n, m), below `reference`, (m,); points beyond the reference cut nothing."""
        lower, upper = _boxes(front[(front < reference).all(axis=1)], reference)
        return cls(lower, upper)

    def log_expected_gain(self, mean: Array, deviation: Array) -> Array:
        """Log of the expected hypervolume improvement of independent normal losses: (q, m), (q, m) -> (q,).

        The gain is the volume of the cells that a point comes to dominate. For one box its expectation is a
        product over the losses of E[(u - Y)+] - E[(l - Y)+] (Emmerich et al. 2011; Yang et al. 2019), where
        E[(u - Y)+] = s h((u - mean) / s). All of it in logarithms, since far from the front the gain is too
        small for a float (Ament et al. 2023). With one loss it is the log expected improvement.
        """
        logs = np.zeros((len(mean), len(self.lower)))
        for j, (lower, upper) in enumerate(zip(self.lower.T, self.upper.T, strict=True)):
            levels, places = np.unique(np.concatenate([lower, upper]), return_inverse=True)
            gains = _log_gains(levels, mean[:, j], deviation[:, j])
            bottom, top = gains[:, places[: len(lower)]], gains[:, places[len(lower) :]]
            logs += top + np.log(-np.expm1(np.minimum(bottom - top, _LEAST_STEP)))
        return np.asarray(logsumexp(logs, axis=1))


def _log_gains(levels: Array, mean: Array, deviation: Array) -> Array:
    """Log E[(level - Y)+] for each of the normal Y, (q,), and each level, (c,): (q, c)."""
    finite = np.isfinite(levels)
    z = (levels[None, finite] - mean[:, None]) / deviation[:, None]
    gains = np.full((len(mean), len(levels)), -np.inf)
    gains[:, finite] = log_h(z) + np.log(deviation)[:, None]
    return gains


def _boxes(points: Array, reference: Array) -> tuple[Array, Array]:
    if len(reference) == 1:
        top = np.minimum(points.min(axis=0, initial=np.inf), reference)
        return np.array([[-np.inf]]), top[None, :]
    points = points[np.argsort(points[:, -1], kind="stable")]
    starts = np.concatenate([[-np.inf], points[:, -1]])
    ends = np.append(points[:, -1], reference[-1])
    lowers, uppers = [], []
    for n_below, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if end > start:
            lower, upper = _boxes(points[:n_below, :-1], reference[:-1])
            lowers.append(np.column_stack([lower, np.full(len(lower), start)]))
            uppers.append(np.column_stack([upper, np.full(len(upper), end)]))
    # A box that a point closes has no volume.
    lower, upper = np.vstack(lowers), np.vstack(uppers)
    open_ = (upper > lower).all(axis=1)
    return lower[open_], upper[open_]


def cells_beyond(means: Array, room: Array) -> Cells:
    """What is left to gain beyond the front of `means`, (n, m), of losses with a deviation of about 1.

    The reference point lies a tenth of the front's extent beyond its worst, as is the custom (Ishibuchi et
    al. 2018), but at least one deviation of all losses: else a front that is short would never grow in
    length. Below the best of each loss there is as much to gain as `room`, (m,), says: a surrogate does not
    know that a loss has an end, and would look for more of it at the ends of the front for ever. With one
    loss there are no ends.
    """
    if means.shape[1] == 1:
        return Cells.of(means, np.array([np.inf]))
    points = means[front(means.tolist())]
    points = _thinned(points[_balanced(points)])
    best, worst = points.min(axis=0), points.max(axis=0)
    margin = np.maximum(_MARGIN * (worst - best), _LEAST_MARGIN)
    cells = Cells.of(points, worst + margin)
    return Cells(np.maximum(cells.lower, best - room), cells.upper)


def _balanced(points: Array) -> "np.ndarray":
    """Which points of a front, (n, m), do not lose much in one loss for next to nothing in the others."""
    step = _TRADE * np.ptp(points, axis=0)
    gaps = points[:, None, :] - points[None, :, :]
    return np.asarray(~((gaps >= -step).all(axis=2) & (gaps > step).any(axis=2)).any(axis=1))


def _thinned(points: Array) -> Array:
    """Of a front, (n, m), as many as give no more than some hundred cells, spread over the first loss."""
    m = points.shape[1]
    most = int((_N_CELLS * factorial(m - 1)) ** (1 / (m - 1)))
    if len(points) <= most:
        return points
    order = np.argsort(points[:, 0], kind="stable")
    return np.asarray(points[order[np.linspace(0, len(points) - 1, most).round().astype(int)]])
