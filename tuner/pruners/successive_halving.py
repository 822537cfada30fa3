# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""Asynchronous successive halving: of those that came to a rung, one in `reduction_factor` goes on.

Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht and Talwalkar (2020), A system for massively
parallel hyperparameter tuning (ASHA), MLSys. Theirs pauses experiments and may go on with one later; a
training that is stopped here is over, as in Ray Tune and Optuna: who comes to a rung is compared with all who
came there before, and nobody waits for anybody.
"""

import math
from collections.abc import Iterator, Sequence

from tuner.pruners.base import Curve, Pruner, check_factor, check_flag, check_steps
from tuner.pruners.ranking import n_better

__all__ = ["SuccessiveHalvingPruner"]


class SuccessiveHalvingPruner(Pruner):
    """ASHA, in the variant that stops.

    At each rung the experiment goes on if fewer than `n // reduction_factor` of the n that came so far are
    better than it. While that is less than one, it has to be the best.

    Args:
        grace: nothing stops before this step (>= 1).
        reduction_factor: one in so many goes on (>= 2).
        max_steps: where an experiment ends: nothing stops there any more; None where it is not known.
        first_rung: leave out so many rungs: the larger, the later the first look (>= 0).
        every_step: there is a rung at each step, for steps that are few and far apart, and what part of the n
            goes on is rounded up; else rungs are at `grace * reduction_factor ** k`.
    """

    name = "asha"

    def __init__(
        self,
        grace: int = 1,
        reduction_factor: float = 3,
        max_steps: int | None = None,
        first_rung: int = 0,
        every_step: bool = False,
    ) -> None:
        check_steps("grace", grace, 1)
        check_factor(reduction_factor)
        if max_steps is not None:
            check_steps("max_steps", max_steps, 1)
        check_steps("first_rung", first_rung, 0)
        check_flag("every_step", every_step)
        self.grace, self.reduction_factor, self.max_steps = grace, reduction_factor, max_steps
        self.first_rung, self.every_step = first_rung, every_step

    def should_prune(self, own: Curve, others: Sequence[Curve]) -> bool:
        if self.max_steps is not None and own.step >= self.max_steps:
            return False
        return any(self._falls_at(rung, own, others) for rung in self._rungs(own) if own.just_reached(rung))

    def _rungs(self, own: Curve) -> Iterator[int]:
        """Those up to where the experiment is, lowest first."""
        k = self.first_rung
        while (rung := self._rung(k)) <= own.step:
            yield rung
            k += 1

    def _rung(self, k: int) -> int:
        return self.grace + k if self.every_step else int(self.grace * self.reduction_factor**k)

    def _falls_at(self, rung: int, own: Curve, others: Sequence[Curve]) -> bool:
        rivals = [losses for other in others if (losses := other.from_step(rung)) is not None]
        return n_better(own.losses[-1], rivals) >= self._n_going_on(len(rivals) + 1)

    def _n_going_on(self, n: int) -> int:
        if (
            self.every_step
        ):  # with so many rungs, having to be the best of the first few would end most of them
            return math.ceil(n / self.reduction_factor)
        return max(1, int(n // self.reduction_factor))
