"""The last bit uphill: a local ascent of the score over all that is continuous, along sums, within bounds."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from tuner.generators.bayesian.surrogate import Array

__all__ = ["Room", "climbed"]

_STEP = 1e-6
_N_STEPS = 25
_LEAST_GAIN = 1e-5


@dataclass(frozen=True)
class Room:
    """How far the numbers of one row may move by themselves.

    Attributes:
        places: (k,), which they are.
        lows, highs: (k,), their bounds.
        sums: (c, k), each row times the numbers must stay what it is.
    """

    places: "np.ndarray"
    lows: Array
    highs: Array
    sums: Array


def climbed(row: Array, room: Room, score: Callable[[Array], Array]) -> Array:
    """The row, (n_params,), moved uphill by sequential least squares programming (Kraft 1988).

    Args:
        row: where to start.
        room: what may move.
        score: takes rows, (m, n_params), and gives each a number, (m,); differentiable. Gradients are
            differences between neighbours, which are judged all at once.
    """

    def descent(x: Array) -> tuple[float, Array]:
        rows = np.tile(row, (len(x) + 1, 1))
        rows[:, room.places] = x
        rows[np.arange(len(x)) + 1, room.places] += _STEP
        scores = score(rows)
        return -float(scores[0]), -(scores[1:] - scores[0]) / _STEP

    if not len(room.places):
        return row
    start = row[room.places]
    total = room.sums @ start
    keep = {"type": "eq", "fun": lambda x: room.sums @ x - total, "jac": lambda _: room.sums}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # it mends by itself what rounding leads out of bounds
        found = minimize(
            descent,
            start,
            jac=True,
            method="SLSQP",
            bounds=list(zip(room.lows, room.highs, strict=True)),
            constraints=[keep] if len(room.sums) else [],
            options={"maxiter": _N_STEPS, "ftol": _LEAST_GAIN},
        )
    there = row.copy()
    if np.isfinite(found.x).all():
        there[room.places] = found.x.clip(room.lows, room.highs)
    return there
