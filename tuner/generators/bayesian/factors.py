"""Cholesky factors by LAPACK itself: at fifty rows, the checks that stand around it cost more than the work.

The arrays must be finite, of 64-bit floats, and are not checked.
"""

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dtrtri, dtrtrs

from tuner.generators.bayesian.surrogate import Array

__all__ = ["factored", "inverted", "solved", "whitener"]


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


def inverted(factor: Array) -> Array:
    """(factor factor^T)^-1."""
    lower, _ = dpotri(factor, lower=1)
    return np.asarray(lower + np.tril(lower, -1).T)
