"""Two configurations compared over the seeds that both were run with, fold by fold."""

from collections.abc import Sequence
from dataclasses import dataclass

from retrain.honest.estimate import Repeat, Spread, spread_of
from tuner.experiment import Direction, loss_of

__all__ = ["Difference", "gain_over", "paired_repeats"]


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one configuration did better than another with one seed. A `Repeat`.

    Attributes:
        seed: of both.
        value: positive where the first is better, whichever direction the metric has.
        folds: the same for each fold; empty where the two have no folds in common.
    """

    seed: int
    value: float
    folds: tuple[float, ...]


def paired_repeats(
    first: Sequence[Repeat], second: Sequence[Repeat], direction: Direction
) -> list[Difference]:
    """The gains of `first` over `second`, one for each seed that both have, in the order of `first`."""
    others = {each.seed: each for each in second}
    return [_difference(each, others[each.seed], direction) for each in first if each.seed in others]


def gain_over(
    first: Sequence[Repeat], second: Sequence[Repeat], direction: Direction, *, folds: int | None = None
) -> Spread | None:
    """Mean gain of `first` over `second` with its noise; None where they share no seed."""
    pairs = paired_repeats(first, second, direction)
    return spread_of(pairs, folds=folds) if pairs else None


def _difference(first: Repeat, second: Repeat, direction: Direction) -> Difference:
    paired = len(first.folds) == len(second.folds)
    folds = zip(first.folds, second.folds, strict=True) if paired else ()
    return Difference(
        first.seed,
        _gain(first.value, second.value, direction),
        tuple(_gain(a, b, direction) for a, b in folds),
    )


def _gain(first: float, second: float, direction: Direction) -> float:
    return loss_of(second, direction) - loss_of(first, direction)
