# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""Hyperband: several successive halvings side by side that begin to look at different steps.

Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar (2018), Hyperband: a novel bandit-based approach to
hyperparameter optimization, JMLR 18(185). How early a curve can be trusted is not known beforehand; so one
part of the experiments is looked at early and often, another late, and those of one bracket are compared with
each other alone. Asynchronous within each bracket, as ASHA is.
"""

import math
import zlib
from collections.abc import Sequence

from tuner.pruners.base import Curve, Pruner, check_factor, check_steps
from tuner.pruners.successive_halving import SuccessiveHalvingPruner

__all__ = ["HyperbandPruner"]


class HyperbandPruner(Pruner):
    """Brackets of asynchronous successive halving.

    Bracket s leaves out the first s rungs. An experiment belongs to one of them by its number alone, with a
    probability in proportion to the number of experiments that the bracket begins with (Li et al. 2018,
    algorithm 1, line 3).

    Args:
        grace: nothing stops before this step (>= 1).
        reduction_factor: one in so many goes on from rung to rung (>= 2).
        max_steps: the longest experiment, which says how many brackets there are; None takes the last step of
            those that are complete, and stops nothing before the first is.
    """

    name = "hyperband"

    def __init__(self, grace: int = 1, reduction_factor: float = 3, max_steps: int | None = None) -> None:
        check_steps("grace", grace, 1)
        check_factor(reduction_factor)
        if max_steps is not None:
            check_steps("max_steps", max_steps, 1)
        self.grace, self.reduction_factor, self.max_steps = grace, reduction_factor, max_steps

    def should_prune(self, own: Curve, others: Sequence[Curve]) -> bool:
        longest = self.max_steps or max((each.step for each in others if each.complete), default=0)
        if longest <= self.grace:
            return False
        # A rung that is hit exactly counts, whatever the logarithm of floats makes of it.
        n_brackets = int(math.log(longest / self.grace, self.reduction_factor) + 1e-9) + 1
        mine = self.bracket(own.number, n_brackets)
        halving = SuccessiveHalvingPruner(self.grace, self.reduction_factor, self.max_steps, first_rung=mine)
        rivals = [each for each in others if self.bracket(each.number, n_brackets) == mine]
        return halving.should_prune(own, rivals)

    def bracket(self, number: int, n_brackets: int) -> int:
        """The bracket of an experiment: 0 is looked at first and most."""
        # Of s + 1 halvings in a bracket, equal budgets ask for so many beginners.
        sizes = [
            math.ceil(n_brackets * self.reduction_factor**s / (s + 1)) for s in reversed(range(n_brackets))
        ]
        ticket = zlib.crc32(str(number).encode()) % sum(sizes)
        for bracket, size in enumerate(sizes):
            ticket -= size
            if ticket < 0:
                return bracket
        raise AssertionError("the ticket is below the sum of the sizes")
