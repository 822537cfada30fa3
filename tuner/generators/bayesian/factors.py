"""Cholesky factors by LAPACK itself: at fifty rows, the checks that stand around it cost more than the work.

The arrays must be finite, of 64-bit floats, and are not checked.
"""

import numpy as np
from scipy.linalg.blas import dsyr
from scipy.linalg.lapack import dpotrf, dpotri, dtrtri, dtrtrs

from tuner.generators.bayesian.surrogate import Array

__all__ = ["Bordered", "factored", "lower_inverse", "solved", "whitener"]

_BEYOND = 1e300
"""What a border may hold on the diagonal and stay positive, whatever stands before it."""


def factored(covariance: Array) -> Array:
    """The lower Cholesky factor of a symmetric matrix, (n, n), which may be overwritten.

    Raises:
        LinAlgError: it is not positive definite to working precision.
    """
    factor, info = dpotrf(covariance.T, lower=1, clean=1, overwrite_a=1)
    if info:
        raise np.linalg.LinAlgError(f"The leading minor of order {info} is not positive definite.")
    return np.asarray(factor)


def solved(factor: Array, b: Array, *, transposed: bool = False) -> Array:
    """factor^-1 b, or factor^-T b; `factor` is lower triangular."""
    found, _ = dtrtrs(factor, b, lower=1, trans=int(transposed))
    return np.asarray(found)


def whitener(factor: Array) -> Array:
    """factor^-1: for hundreds of columns, a product with it takes a third of the time that solving does."""
    found, _ = dtrtri(factor, lower=1)
    return np.asarray(found)


def lower_inverse(factor: Array, b: Array, weight: float) -> Array:
    """The lower triangle of (factor factor^T)^-1 + weight b b^T; zero above it, as `factor` is."""
    found, _ = dpotri(factor, lower=1)
    return np.asarray(dsyr(weight, b, lower=1, a=found, overwrite_a=1))


class Bordered:
    """Factors of symmetric matrices given pair by pair, and what they make of two columns, all in one go.

    Below each matrix stand two rows more, ones and `y`: its factor has factor^-1 1 and factor^-1 y there.

    Args:
        y: (n,).
        later, earlier: (n (n - 1) / 2,); the pairs i > j, in the order in which their entries will be given.
    """

    def __init__(self, y: Array, later: "np.ndarray", earlier: "np.ndarray") -> None:
        self._n, width = len(y), len(y) + 2
        blank = np.zeros((width, width))  # of columns, as LAPACK has them
        blank[:-2, -2], blank[:-2, -1] = 1.0, y
        blank[-2, -2] = blank[-1, -1] = _BEYOND
        self._blank = blank.ravel()
        self._pairs = earlier * width + later
        self._diagonal = np.arange(len(y)) * (width + 1)

    def factored(self, pairs: Array, diagonal: Array) -> tuple[Array, Array]:
        """The lower factor of one matrix, (n, n), and factor^-1 1 and factor^-1 y as rows, (2, n).

        Raises:
            LinAlgError: it is not positive definite to working precision.
        """
        matrix = self._blank.copy()
        matrix[self._pairs] = pairs
        matrix[self._diagonal] = diagonal
        width, n = self._n + 2, self._n
        factor, info = dpotrf(matrix.reshape(width, width).T, lower=1, clean=0, overwrite_a=1)
        if info:
            raise np.linalg.LinAlgError(f"The leading minor of order {info} is not positive definite.")
        return factor[:n, :n], factor[n:, :n]
