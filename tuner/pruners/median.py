# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""The median rule: stop what is worse than half of those that came to their end were at the same step.

Golovin, Solnik, Moitra, Kochanski, Karro and Sculley (2017), Google Vizier: a service for black-box
optimization, KDD, section 3.2.2. Theirs compares with running averages, which lag behind a curve that falls;
here, as in Optuna, it is the loss at the step itself.
"""

from collections.abc import Sequence
from statistics import median

from tuner.pruners.base import Curve, Pruner, check_steps
from tuner.pruners.ranking import ranks

__all__ = ["MedianPruner"]


class MedianPruner(Pruner):
    """Stops an experiment whose best loss so far is above the median of the complete ones at this step.

    With several objectives: one whose rank is above the median rank.

    Args:
        grace: nothing stops before this step (>= 0).
        startup: nothing stops before so many experiments are complete (>= 1).
    """

    name = "median"

    def __init__(self, grace: int = 1, startup: int = 5) -> None:
        check_steps("grace", grace, 0)
        check_steps("startup", startup, 1)
        self.grace, self.startup = grace, startup

    def should_prune(self, own: Curve, others: Sequence[Curve]) -> bool:
        complete = [each for each in others if each.complete]
        if not own.steps or own.step < self.grace or len(complete) < self.startup:
            return False
        there = [losses for each in complete if (losses := each.at(own.step)) is not None]
        if not there:
            return False
        if len(there[0]) == 1:
            middle = median(loss for (loss,) in there)
            return own.losses[-1][0] > middle and min(own.losses)[0] > middle  # most often told by the last
        mine, *theirs = ranks([own.losses[-1], *there])
        return mine > median(theirs)
