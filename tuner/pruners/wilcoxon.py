# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""The signed-rank test over folds: stop what is worse than the best, fold by fold, beyond chance.

Wilcoxon (1945), Individual comparisons by ranking methods, Biometrics Bulletin 1(6); zeros are split as Pratt
and Zsplit do in SciPy. Steps are replicates here, in any order: folds, or the instances of a problem.
"""

from collections.abc import Sequence
from math import fsum

from tuner.errors import UsageError
from tuner.pruners.base import Curve, Pruner, check_steps

__all__ = ["WilcoxonPruner"]


class WilcoxonPruner(Pruner):
    """Compares the folds of an experiment with the same folds of the best one that is complete.

    With several objectives: with each of the complete ones; it stops where one of them is better in every
    objective. With five folds the least p is 1/32, and 1/16 after four: a threshold below that stops nothing.

    Args:
        grace: nothing stops before so many folds are shared (>= 2).
        p_threshold: stop at a p-value below it, one-sided, in (0, 0.5].
    """

    name = "wilcoxon"
    compares_folds = True

    def __init__(self, grace: int = 2, p_threshold: float = 0.1) -> None:
        check_steps("grace", grace, 2)
        if isinstance(p_threshold, bool) or not isinstance(p_threshold, int | float):
            raise UsageError(f"`p_threshold` must be a number, but got {p_threshold!r}.")
        if not 0 < p_threshold <= 0.5:
            raise UsageError(f"`p_threshold` must be in (0, 0.5], but got {p_threshold!r}.")
        self.grace, self.p_threshold = grace, p_threshold

    def should_prune(self, own: Curve, others: Sequence[Curve]) -> bool:
        if not own.steps:
            return False
        complete = [each for each in others if each.complete and each.steps]
        if len(own.losses[0]) == 1:
            complete.sort(key=lambda each: (_mean(each, 0), each.number))
            complete = complete[:1]
        return any(self._is_worse(own, rival) for rival in complete)

    def _is_worse(self, own: Curve, rival: Curve) -> bool:
        shared = [(mine, theirs) for step, mine in _items(own) if (theirs := rival.at(step)) is not None]
        if len(shared) < self.grace:
            return False
        from scipy.stats import wilcoxon

        for k in range(len(own.losses[0])):
            if _mean(own, k) <= _mean(rival, k):
                return False  # the test says what the means do not: better be safe
            gaps = [mine[k] - theirs[k] for mine, theirs in shared]
            p = wilcoxon(gaps, alternative="greater", zero_method="zsplit").pvalue
            if not p < self.p_threshold:
                return False
        return True


def _items(curve: Curve) -> Sequence[tuple[int, tuple[float, ...]]]:
    return list(zip(curve.steps, curve.losses, strict=True))


def _mean(curve: Curve, k: int) -> float:
    return fsum(losses[k] for losses in curve.losses) / len(curve.losses)
