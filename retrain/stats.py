"""Interval arithmetic for paired cross-validation scores, without scipy (reports must answer at once)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

__all__ = ["PairedDifference", "paired_difference", "t_cdf", "t_quantile"]


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The mean difference of two scores over the same folds, with its confidence interval.

    Attributes:
        mean: mean of first minus second, in the unit of the scores.
        std_error: corrected standard error of that mean (>= 0).
        low, high: ends of the interval.
        n_folds: number of pairs (>= 2).
        level: confidence level of the interval, in (0, 1).
    """

    mean: float
    std_error: float
    low: float
    high: float
    n_folds: int
    level: float

    @property
    def includes_zero(self) -> bool:
        """Whether the data are compatible with no difference at all."""
        return self.low <= 0.0 <= self.high


def paired_difference(
    first: Sequence[float], second: Sequence[float], *, folds: int | None = None, level: float = 0.95
) -> PairedDifference:
    """Compare two scores taken on the same folds.

    Training sets of different folds overlap, so fold scores are correlated and the textbook standard error
    s / sqrt(J) is too small. The corrected variance of the mean of J differences is
    (1/J + n_test/n_train) s^2: C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine
    Learning 52 (2003), section 4. In k-fold cross-validation n_test/n_train = 1/(k - 1). The quantile is
    Student's t with J - 1 degrees of freedom.

    Args:
        first: scores of the one, fold by fold; at least two.
        second: scores of the other, in the same order.
        folds: k, where the scores are of repeated k-fold cross-validation (J = k times repeats). Default J.
        level: confidence level, in (0, 1).
    """
    n = len(first)
    if n != len(second) or n < 2:
        raise ValueError(
            f"two equally long series of at least 2 scores are needed, got {n} and {len(second)}"
        )
    k = n if folds is None else folds
    if k < 2:
        raise ValueError(f"`folds` must be at least 2, but got {k}")
    differences = [a - b for a, b in zip(first, second, strict=True)]
    scale = max(map(abs, differences)) or 1.0  # squares of the largest floats are none
    scaled = [d / scale for d in differences]
    center = math.fsum(scaled) / n
    variance = math.fsum((d - center) ** 2 for d in scaled) / (n - 1)
    mean, std_error = scale * center, scale * math.sqrt((1 / n + 1 / (k - 1)) * variance)
    reach = t_quantile((1 + level) / 2, n - 1) * std_error
    return PairedDifference(mean, std_error, mean - reach, mean + reach, n, level)


@cache
def t_quantile(p: float, df: int) -> float:
    """Return t with P(T <= t) = p for Student's t with `df` >= 1 degrees of freedom; p in (0, 1)."""
    if not 0 < p < 1 or df < 1:
        raise ValueError(f"p must be inside (0, 1) and df at least 1, but got p={p}, df={df}")
    if p < 0.5:
        return -t_quantile(1 - p, df)
    low, high = 0.0, 1.0
    while t_cdf(high, df) < p:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if t_cdf(middle, df) < p else (low, middle)
    return high


def t_cdf(t: float, df: int) -> float:
    """Return P(T <= t) for Student's t with a whole number of degrees of freedom, `df` >= 1.

    The finite series of Abramowitz and Stegun (1964), 26.7.3 (odd) and 26.7.4 (even): A(t|df) = P(|T| <= t).
    """
    angle = math.atan(t / math.sqrt(df))
    cosine_squared = math.cos(angle) ** 2
    odd = df % 2
    term = math.cos(angle) if odd else 1.0
    series = 0.0
    for i in range(df // 2):
        series += term
        # ... times 2/3, 4/5, 6/7 for odd, 1/2, 3/4, 5/6 for even degrees of freedom
        term *= cosine_squared * (2 * i + 1 + odd) / (2 * i + 2 + odd)
    inside = math.sin(angle) * series
    if odd:
        inside = 2 / math.pi * (angle + inside)
    return 0.5 + inside / 2
