"""The last bit uphill: a local ascent along sums, whose members random moves rarely get right all at once.

Only there, and not far: an ascent to the very top of the acquisition function sends what hardly matters to
its bounds, and less is found.
"""

import warnings
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from tuner.generators.bayesian.surrogate import Array

__all__ = ["climbed"]

_STEP = 1e-6
_N_STEPS = 25
_LEAST_GAIN = 1e-5


def climbed(row: Array, sums: Array, reach: Array, score: Callable[[Array], Array]) -> Array:
    """The row, (n_params,), moved uphill by sequential least squares programming (Kraft 1988).

    Args:
        row: where to start.
        sums: (c, n_params), each times the row stays what it is. Only what counts in one of them moves.
        reach: (n_params,), how far each place may move.
        score: takes rows, (m, n_params), and gives each a number, (m,); differentiable. Gradients are
            differences between neighbours, which are judged all at once.
    """
    places = np.flatnonzero(sums.any(axis=0))
    start, sums = row[places], sums[:, places]
    total = sums @ start
    lows, highs = (start - reach[places]).clip(0.0), (start + reach[places]).clip(max=1.0)

    def descent(x: Array) -> tuple[float, Array]:
        rows = np.tile(row, (len(x) + 1, 1))
        rows[:, places] = x
        rows[np.arange(len(x)) + 1, places] += _STEP
        scores = score(rows)
        return -float(scores[0]), -(scores[1:] - scores[0]) / _STEP

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # it mends by itself what rounding leads out of bounds
        found = minimize(
            descent,
            start,
            jac=True,
            method="SLSQP",
            bounds=list(zip(lows, highs, strict=True)),
            constraints=[{"type": "eq", "fun": lambda x: sums @ x - total, "jac": lambda _: sums}],
            options={"maxiter": _N_STEPS, "ftol": _LEAST_GAIN},
        )
    there = row.copy()
    if np.isfinite(found.x).all():
        there[places] = found.x.clip(lows, highs)
    return there
