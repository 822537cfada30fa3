"""Where the next configuration is looked for: draws from the whole space, and variations of good ones."""

from collections.abc import Sequence
from math import exp, log

import numpy as np

from tuner.experiment import Params, Value
from tuner.space import CategoricalParam, Param, SearchSpace

__all__ = ["draws", "variations"]

_WIDTHS = (0.01, 0.3)


def draws(space: SearchSpace, n: int, rng: np.random.Generator) -> list[Params]:
    """`n` random configurations."""
    return [space.sample(rng) for _ in range(n)]


def variations(
    space: SearchSpace, parents: Sequence[Params], n: int, rng: np.random.Generator
) -> list[Params]:
    """`n` valid configurations near `parents` (best first; the earlier, the more children).

    Each child moves between one and all parameters: numbers by a normal step whose width, 1 % to 30 % of the
    range, is its own; categories to a random choice. What was inactive is drawn, in case a move makes it
    active. `SearchSpace.repair` makes the child valid.
    """
    movable = [param for param in space.params.values() if param.n_values != 1]
    shape = (n, len(movable))
    moves = rng.random(shape) < rng.random((n, 1))
    moves[np.arange(n), rng.integers(len(movable), size=n)] = True
    widths = np.exp(rng.uniform(log(_WIDTHS[0]), log(_WIDTHS[1]), (n, 1)))
    steps = (rng.standard_normal(shape) * widths).tolist()
    picks = rng.random(shape).tolist()
    which = (rng.random(n) ** 2 * len(parents)).astype(int)
    children: list[Params] = []
    for i in range(n):
        parent = parents[which[i]]
        child = dict(parent)
        for j in np.flatnonzero(moves[i]).tolist():
            param, pick = movable[j], picks[i][j]
            known = param.name in parent
            child[param.name] = (
                _moved(param, parent[param.name], steps[i][j], pick) if known else param.from_unit(pick)
            )
        children.append(space.repair(child))
    return children


def _moved(param: Param, value: Value, step: float, pick: float) -> Value:
    """The value a `step` (a share of the range) away; at least the next one where values have steps."""
    if isinstance(param, CategoricalParam):
        return param.from_unit(pick)
    assert isinstance(value, int | float)
    for shift in (step, -step):  # at a bound there is only one way to go
        if param.log:
            moved = param.shortened(param.clip(exp(log(value) + shift * log(param.high / param.low))))
        else:
            moved = param.shortened(param.clip(value + shift * (param.high - param.low)))
        if moved == value and param.n_values is not None:
            moved = param.clip(param.above(value) if shift > 0 else param.below(value))
        if moved != value:
            break
    return moved
