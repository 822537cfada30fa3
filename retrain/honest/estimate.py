"""What repeats of one configuration say about its score: a mean, its standard error, an interval, a bound.

A repeat is one evaluation with a fresh seed: the same rows dealt into other folds, learned from with another
seed. The difference of two configurations over the same seeds is a series of repeats, too, so that one
estimate serves both.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from retrain.stats import t_quantile
from tuner.experiment import Direction

__all__ = ["LEVEL", "NOTES", "Basis", "Estimate", "Repeat", "Spread", "confirmed", "interval", "spread_of"]

LEVEL = 0.95
"""Confidence of intervals and verdicts, unless said otherwise."""

_CLOSE = 1e-9


class Repeat(Protocol):
    """One evaluation with a seed of its own.

    Attributes:
        seed: what the folds, and the learning, were drawn with.
        value: the score.
        folds: the score of each fold; empty where the pipeline has none.
    """

    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def value(self) -> float: ...  # noqa: D102
    @property
    def folds(self) -> Sequence[float]: ...  # noqa: D102


class Basis(StrEnum):
    """Where the knowledge of the noise comes from."""

    FOLDS = "folds"
    RUNS = "runs"
    NONE = "none"


NOTES: Mapping[Basis, str] = {
    Basis.FOLDS: "",
    Basis.RUNS: "The pipeline reports no folds, so only the noise between runs was measured, "
    "and not how the score varies with the data.",
    Basis.NONE: "The pipeline reports no folds, and no noise between runs was seen: there is no interval.",
}
"""What people have to know of the noise, by its basis."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and noise of a series of repeats.

    Attributes:
        mean: over all repeats.
        std_error: of `mean` as an estimate for fresh data; of `Basis.RUNS`, for fresh runs on the same data;
            None where nothing is known.
        df: degrees of freedom of `std_error`; 0 where it is None.
        between: sample variance of the values of the repeats; 0 for a single one.
        basis: what they were computed from.
        n_repeats: how many repeats there are.
        n_scores: how many fold scores, or values, went into `std_error`.
        identical: there are several repeats, and all are the same: the seed changes nothing.
    """

    mean: float
    std_error: float | None
    df: int
    between: float
    basis: Basis
    n_repeats: int
    n_scores: int
    identical: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """The confirmed score of one configuration.

    Attributes:
        mean: in the unit of the metric.
        std_error: corrected standard error; None where no noise could be measured.
        df: its degrees of freedom; 0 where it is None.
        low, high: ends of the interval, low <= mean <= high; None where there is none.
        bound: the end of the interval that is worse in the metric's direction, by which winners are chosen;
            the mean where there is no interval.
        basis: where the noise was measured.
        n_repeats: evaluations.
        level: confidence of the interval.
        note: what people have to know of it, in a sentence or more; "" if nothing.
    """

    mean: float
    std_error: float | None
    df: int
    low: float | None
    high: float | None
    bound: float
    basis: Basis
    n_repeats: int
    level: float
    note: str

    def within(self, least: float, most: float) -> "Estimate":
        """The same, its interval cut off at the ends of the metric's range: nothing true is lost by that.

        A mean beyond them is of a metric with another range, such as an accuracy in percent: nothing is cut.
        """
        if self.low is None or self.high is None or not least <= self.mean <= most:
            return self
        return replace(self, low=max(self.low, least), high=min(self.high, most))


def confirmed(
    repeats: Sequence[Repeat],
    direction: Direction,
    *,
    folds: int | None = None,
    level: float = LEVEL,
    n_chosen_from: int = 1,
) -> Estimate:
    """Estimate the score of one configuration from its repeats.

    Folds share training rows, and repeats share all rows, so that more repeats cannot bring the error to
    nothing: the variance of the mean of J fold scores is taken as (1/J + 1/(k - 1)) s^2, s^2 their sample
    variance, with Student's t of J - 1 degrees of freedom (`retrain.stats.paired_difference` names the
    source). Repeats that are all the same count once. Without folds it is s^2/R of the R values.

    Args:
        repeats: one or more, of distinct seeds.
        direction: of the metric.
        folds: k, where `folds` of a repeat holds several cross-validations; default its length.
        level: confidence of the interval, in (0, 1).
        n_chosen_from: of a winner, how many configurations were tried on these rows. It was chosen for its
            luck on them, which fresh folds do not undo; so the end of the interval that is worse holds for
            all of them at once (Bonferroni). The other end stays, since a choice only makes it safer.
    """
    spread = spread_of(repeats, folds=folds)
    note = NOTES[spread.basis]
    if spread.basis is Basis.FOLDS and spread.identical:
        note = "Every repeat gave the same scores, as where neither folds nor learning depend on the seed."
    low, high = interval(spread, level) or (None, None)
    if spread.std_error is not None and n_chosen_from > 1:
        reach = t_quantile(1 - (1 - level) / (2 * n_chosen_from), spread.df) * spread.std_error
        if direction is Direction.MAXIMIZE:
            low = spread.mean - reach
        else:
            high = spread.mean + reach
    bound = low if direction is Direction.MAXIMIZE else high
    return Estimate(
        spread.mean,
        spread.std_error,
        spread.df,
        low,
        high,
        spread.mean if bound is None else bound,
        spread.basis,
        spread.n_repeats,
        level,
        note,
    )


def interval(spread: Spread, level: float) -> tuple[float, float] | None:
    """Both ends of the two-sided interval of the mean; None where no noise was measured."""
    if spread.std_error is None:
        return None
    reach = t_quantile((1 + level) / 2, spread.df) * spread.std_error
    return spread.mean - reach, spread.mean + reach


def spread_of(repeats: Sequence[Repeat], *, folds: int | None = None) -> Spread:
    """Mean and noise of a series of repeats; see `confirmed` for the arguments."""
    if not repeats:
        raise ValueError("at least one repeat is needed")
    if len({each.seed for each in repeats}) < len(repeats):
        raise ValueError("repeats must have distinct seeds")
    if folds is not None and folds < 2:
        raise ValueError(f"`folds` must be at least 2, but got {folds}")
    values = [each.value for each in repeats]
    n = len(values)
    mean = math.fsum(values) / n
    between = _variance(values) if n > 1 else 0.0
    if not _have_folds(repeats):
        same = n > 1 and len(set(values)) == 1
        if n == 1 or same:
            return Spread(mean, None, 0, between, Basis.NONE, n, n, same)
        return Spread(mean, math.sqrt(between / n), n - 1, between, Basis.RUNS, n, n, False)
    same = n > 1 and len({tuple(each.folds) for each in repeats}) == 1
    used = repeats[:1] if same else repeats
    scores = [score for each in used for score in each.folds]
    count = len(scores)
    k = folds if folds is not None else len(repeats[0].folds)
    error = math.sqrt((1 / count + 1 / (k - 1)) * _variance(scores))
    return Spread(mean, error, count - 1, between, Basis.FOLDS, n, count, same)


def _have_folds(repeats: Sequence[Repeat]) -> bool:
    """Whether all have equally many folds. Reports whose mean is not the value are epochs, or rounds."""
    sizes = {len(each.folds) for each in repeats}
    if len(sizes) > 1 or sizes.pop() < 2:
        return False
    return all(
        math.isclose(math.fsum(each.folds) / len(each.folds), each.value, rel_tol=_CLOSE, abs_tol=_CLOSE)
        for each in repeats
    )


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
