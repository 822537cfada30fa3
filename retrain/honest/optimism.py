"""How much too good a score was: the validation best against its confirmation, that against the holdout."""

import math
from dataclasses import dataclass

from retrain.honest.estimate import LEVEL, Estimate
from retrain.stats import t_quantile
from tuner.experiment import Direction, loss_of

__all__ = ["Optimism", "confirmed_optimism", "validation_optimism"]


@dataclass(frozen=True, slots=True)
class Optimism:
    """By how much one score was better than the one that has to be believed more.

    Attributes:
        amount: in the unit of the metric; positive is too good, whichever direction the metric has.
        low, high: ends of its interval; None where no noise is known.
    """

    amount: float
    low: float | None
    high: float | None


def validation_optimism(value: float, estimate: Estimate, direction: Direction) -> Optimism:
    """How much better the validation score `value` was than the confirmed score of the same candidate.

    The validation score is a known number; the interval is that of the confirmed score.
    """
    amount = _surplus(value, estimate.mean, direction)
    if estimate.std_error is None:
        return Optimism(amount, None, None)
    reach = t_quantile((1 + estimate.level) / 2, estimate.df) * estimate.std_error
    return Optimism(amount, amount - reach, amount + reach)


def confirmed_optimism(
    estimate: Estimate,
    holdout: float,
    std_error: float | None,
    df: int,
    direction: Direction,
    *,
    level: float = LEVEL,
) -> Optimism:
    """How much better the confirmed score is than that of the fitted model on the holdout.

    Rows of the holdout are none of those that were confirmed on, so the two errors are independent.
    Student's t has the degrees of freedom of Welch and Satterthwaite (Welch 1947, Biometrika 34).

    Args:
        estimate: the confirmed score.
        holdout: the score on the holdout.
        std_error: of the holdout's score; see `retrain.honest.holdout`. None where not known.
        df: its degrees of freedom, at least 1.
        direction: of the metric.
        level: confidence of the interval.
    """
    amount = _surplus(estimate.mean, holdout, direction)
    if estimate.std_error is None or std_error is None:
        return Optimism(amount, None, None)
    a, b = estimate.std_error**2, std_error**2
    if a + b == 0:
        return Optimism(amount, amount, amount)
    welch = (a + b) ** 2 / ((a**2 / estimate.df) + (b**2 / df))
    reach = t_quantile((1 + level) / 2, max(1, math.floor(welch))) * math.sqrt(a + b)
    return Optimism(amount, amount - reach, amount + reach)


def _surplus(score: float, than: float, direction: Direction) -> float:
    return loss_of(than, direction) - loss_of(score, direction)
