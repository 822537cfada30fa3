"""What is known about one configuration, and how its folds are counted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from retrain.pipeline import Detail
from retrain.stats import paired_difference

__all__ = ["Figures", "finite", "mean", "spoken", "std_error_of_difference"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known about one configuration, scored on the present data.

    Attributes:
        value: the study's metric, cross-validated.
        std_error: its standard error, where known.
        folds: the value of each fold by its number, where the pipeline reports them.
        metrics: every number by name: the study's metric, what else was returned, the holdout's `test_*`, and
            what the final model costs where a gate asks for it.
        n_test_rows: rows of the holdout, where there is one.
        detail: every metric fold by fold, and by group; empty where the pipeline does not say.
        fresh: the same of each further cross-validation that the gate asked for, in the order of their seeds.
        left_out: metrics of the holdout without each of its blocks; see `Scores`.
    """

    value: float
    std_error: float | None = None
    folds: Mapping[int, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    n_test_rows: int | None = None
    detail: Detail = field(default_factory=Detail)
    fresh: tuple[Detail, ...] = ()
    left_out: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def sample(self, metric: str, repeats: int, *, is_own: bool) -> tuple[tuple[float, ...], ...]:
        """The folds of a metric, repeat by repeat; empty where they are not all known and finite.

        Args:
            metric: its name.
            repeats: how many of the fresh cross-validations; 0 for the study's own folds.
            is_own: whether it is the study's metric, whose folds may have been reported.
        """
        details = self.fresh[:repeats] if repeats else (self.detail,)
        found = [tuple(detail.folds.get(metric, ())) for detail in details]
        if not repeats and not found[0] and is_own:
            found = [tuple(self.folds.values())]
        known = all(found) and all(finite(value) is not None for folds in found for value in folds)
        return tuple(found) if known and len(found) == max(1, repeats) else ()


def std_error_of_difference(one: Figures, other: Figures, n_folds: int | None = None) -> float | None:
    """Standard error of the mean difference: paired by fold, or from both standard errors without folds.

    Unpaired variances add up, which is too wide a margin where the same splits favour or hinder both.
    `n_folds`: folds of one repeat; all of them where it is None. See `paired_difference` for the correction.
    """
    if len(one.folds) >= 2 and one.folds.keys() == other.folds.keys():
        others = [other.folds[fold] for fold in one.folds]
        return paired_difference(list(one.folds.values()), others, folds=n_folds).std_error
    if one.std_error is not None and other.std_error is not None:
        return math.hypot(one.std_error, other.std_error)
    return None


def finite(number: object) -> float | None:
    """The number, or None for anything that is no finite one."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        return None
    return float(number)


def spoken(number: float) -> str:
    """A figure in a sentence."""
    return f"{number:.6g}"


def mean(sample: Sequence[Sequence[float]]) -> float:
    """The mean over all folds of all repeats."""
    values = [value for folds in sample for value in folds]
    return math.fsum(value / len(values) for value in values)
