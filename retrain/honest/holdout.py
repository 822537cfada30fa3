"""How sure a score on the holdout is, and a difference of two on the same rows, from blocks left out.

The holdout is dealt into blocks, and the metric computed once for each block without it (a delete-a-group
jackknife: J. Shao and C. F. J. Wu, "A General Theory for Jackknife Variance Estimation", Annals of Statistics
17 (1989)). That takes any metric, twenty computations instead of the hundreds of a bootstrap, and rows
that belong together share a block.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from retrain.honest.estimate import LEVEL
from retrain.stats import t_quantile
from tuner.experiment import Direction, loss_of

__all__ = ["HoldoutScore", "holdout_gain", "holdout_score", "left_out_error"]


@dataclass(frozen=True, slots=True)
class HoldoutScore:
    """A score on the holdout, or a difference of two, with its interval.

    Attributes:
        value: on all rows.
        std_error: how far it may be from the score on fresh rows; of one fitted model, so that luck of its
            training is no part of it.
        df: degrees of freedom of `std_error`.
        low, high: ends of the interval, low <= value <= high.
        level: confidence of the interval.
    """

    value: float
    std_error: float
    df: int
    low: float
    high: float
    level: float


def holdout_score(
    value: float, left_out: Sequence[float], *, level: float = LEVEL, n_rows: int | None = None
) -> HoldoutScore | None:
    """The interval of a score; None where fewer than two blocks could be left out.

    Args:
        value: the score on all rows.
        left_out: the score on all rows but one block, for each block.
        level: confidence of the interval, in (0, 1).
        n_rows: rows of the holdout, for a metric that lies between 0 and 1 (`retrain.metrics.is_share`). Near
            its end a symmetric interval is far too short on the other side, and of a perfect score empty. So
            the score is drawn in by a row of either kind, (n v + 1)/(n + 2), its error is no less than that
            of a share of n rows, and the interval is symmetric on the scale of the logit.
    """
    if len(left_out) < 2:
        return None
    std_error, df = left_out_error(left_out)
    quantile = t_quantile((1 + level) / 2, df)
    if n_rows is None:
        return HoldoutScore(
            value, std_error, df, value - quantile * std_error, value + quantile * std_error, level
        )
    drawn_in = (n_rows * value + 1) / (n_rows + 2)
    variance = drawn_in * (1 - drawn_in)
    std_error = max(std_error, math.sqrt(variance / n_rows))
    middle, reach = math.log(drawn_in / (1 - drawn_in)), min(quantile * std_error / variance, 500.0)
    low, high = (1 / (1 + math.exp(-each)) for each in (middle - reach, middle + reach))
    return HoldoutScore(value, std_error, df, min(low, value), max(high, value), level)


def holdout_gain(
    first: float,
    first_left_out: Sequence[float],
    second: float,
    second_left_out: Sequence[float],
    direction: Direction,
    *,
    level: float = LEVEL,
) -> HoldoutScore | None:
    """How much better one model is than another on the same rows, positive where the first is better.

    Paired by block, so that rows that are hard for both count for neither. None where the two were not left
    out the same blocks.
    """
    if len(first_left_out) != len(second_left_out):
        return None
    gains = [
        _gain(ours, theirs, direction) for ours, theirs in zip(first_left_out, second_left_out, strict=True)
    ]
    return holdout_score(_gain(first, second, direction), gains, level=level)


def left_out_error(left_out: Sequence[float]) -> tuple[float, int]:
    """The standard error that scores with one block left out show, and its degrees of freedom.

    The variance is (g - 1)/g times the sum of squares about the mean of g blocks, at least two.
    """
    g = len(left_out)
    if g < 2:
        raise ValueError(f"at least 2 blocks are needed, but got {g}")
    mean = math.fsum(left_out) / g
    return math.sqrt((g - 1) / g * math.fsum((each - mean) ** 2 for each in left_out)), g - 1


def _gain(first: float, second: float, direction: Direction) -> float:
    return loss_of(second, direction) - loss_of(first, direction)
