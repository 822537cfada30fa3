"""How many results are better than one: by loss, or by non-dominated rank where each has several."""

from collections.abc import Sequence

from tuner.goals import front

__all__ = ["n_better", "ranks"]

Losses = tuple[float, ...]


def ranks(losses: Sequence[Losses]) -> list[int]:
    """The non-dominated rank of each (Deb et al. 2002): 0 for the front, 1 for the front without it ...

    Equal ones have one rank. With a single loss: the order of the distinct values.
    """
    distinct = sorted(set(losses))
    if distinct and len(distinct[0]) == 1:
        place = {loss: rank for rank, loss in enumerate(distinct)}
        return [place[loss] for loss in losses]
    found: dict[Losses, int] = {}
    rank = 0
    while distinct:
        first = {distinct[i] for i in front(distinct)}
        found |= dict.fromkeys(first, rank)
        distinct = [loss for loss in distinct if loss not in first]
        rank += 1
    return [found[loss] for loss in losses]


def n_better(own: Losses, others: Sequence[Losses]) -> int:
    """How many of `others` are strictly better: of a lower rank among all of them."""
    if len(own) == 1:
        return sum(other < own for other in others)
    mine, *theirs = ranks([own, *others])
    return sum(rank < mine for rank in theirs)
