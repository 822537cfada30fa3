"""The contract of every pruner: given what experiments reported, should one of them stop?

A *step* is how far an evaluation has come: boosting rounds, epochs, folds, a share of the data; what matters
is that equal steps of two experiments can be compared. A *rung* is a step at which experiments are compared,
and the *reduction factor* says what part of them goes on from one rung to the next: one in so many.

A pruner is handed data, never a registry, and keeps nothing: its answer follows from the curves alone. So a
run that was killed decides as it would have, once the curves are read again, and two drivers that know the
same curves agree.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import lt
from typing import ClassVar

from tuner.errors import UsageError

__all__ = ["Curve", "Pruner", "check_factor", "check_flag", "check_steps"]


@dataclass(frozen=True, slots=True)
class Curve:
    """What one experiment has reported so far, as losses: less is better, whatever the study's direction.

    Attributes:
        number: of the experiment; rising in the order of writing, each once.
        steps: where it reported, ascending, each once, all >= 0.
        losses: what it reported there: as many finite losses at each step as the study has objectives.
        complete: it came to its end, unpruned.
    """

    number: int
    steps: tuple[int, ...]
    losses: tuple[tuple[float, ...], ...]
    complete: bool = False

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.losses):
            raise ValueError(f"{len(self.steps)} steps, but {len(self.losses)} reports")
        if not all(map(lt, self.steps, self.steps[1:])):
            raise ValueError(f"steps must rise, but are {self.steps}")

    def then(self, step: int, losses: tuple[float, ...]) -> "Curve":
        """The same after one more report, of a step beyond the last."""
        return replace(self, steps=(*self.steps, step), losses=(*self.losses, losses))

    @property
    def step(self) -> int:
        """The last step; -1 before the first report."""
        return self.steps[-1] if self.steps else -1

    def at(self, step: int) -> tuple[float, ...] | None:
        """The losses of exactly this step, or None."""
        place = bisect_left(self.steps, step)
        return self.losses[place] if place < len(self.steps) and self.steps[place] == step else None

    def from_step(self, step: int) -> tuple[float, ...] | None:
        """The losses of the first report at `step` or beyond it; None where it has not come so far."""
        place = bisect_left(self.steps, step)
        return self.losses[place] if place < len(self.steps) else None

    def just_reached(self, step: int) -> bool:
        """Whether its last report is the first at `step` or beyond it."""
        return bool(self.steps) and bisect_left(self.steps, step) == len(self.steps) - 1


class Pruner(ABC):
    """Decides whether an experiment should stop.

    Raises:
        UsageError: an option is out of its range.
    """

    name: ClassVar[str]
    """The name under which users ask for it."""

    compares_folds: ClassVar[bool] = False
    """It takes each step for a replicate, paired with the same step of others, as folds are."""

    @abstractmethod
    def should_prune(self, own: Curve, others: Sequence[Curve]) -> bool:
        """Whether the experiment of `own` should stop at the step that it reported last.

        To be asked once, right after each report: what it was allowed to pass, it has passed.

        Args:
            own: of the experiment, its last report included.
            others: of all others of the study that can be compared with it: running, complete and pruned
                ones, in any order.
        """


def check_steps(name: str, given: object, least: int) -> None:
    """Raise UsageError unless `given` is a whole number of at least `least`."""
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise UsageError(f"`{name}` must be a whole number of at least {least}, but got {given!r}.")


def check_flag(name: str, given: object) -> None:
    """Raise UsageError unless `given` is True or False: a text such as "no" would count as true."""
    if not isinstance(given, bool):
        raise UsageError(f"`{name}` must be True or False, but got {given!r}.")


def check_factor(given: object) -> None:
    """Raise UsageError unless `given` can be a reduction factor: a finite number of at least 2."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 2 <= given < math.inf:
        raise UsageError(f"`reduction_factor` must be a number of at least 2, but got {given!r}.")
