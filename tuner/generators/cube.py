"""Configurations as points of the unit cube, for engines that know nothing of conditions and constraints.

Every point leads to a valid configuration, by construction: nothing is rejected, so nothing can starve.
"""

from collections.abc import Mapping, Sequence
from math import exp, fsum, log
from typing import Any

import numpy as np

from tuner.experiment import Params, Value
from tuner.generators.history import History
from tuner.generators.random import draw_unseen
from tuner.space import CategoricalParam, Param, SearchSpace, Sum, config_key
from tuner.space.groups import Group

__all__ = ["Cube", "unless_known"]

_EDGE = 1e-12
_MOST_WEIGHT = 25.0


class Cube:
    """The unit cube of a space: one coordinate for each parameter that has more than one value.

    A number's coordinate is its place on its scale (log where log), a category's falls into as many equal
    parts as there are choices. The coordinates of a Sum are exponential weights, normalised: where they are
    uniform and no bound bites, its members are uniform over what meets the sum. Those of an Increasing are
    sorted where they do not increase by themselves.

    Attributes:
        names: the parameter of each coordinate; the members of a Sum or Increasing stand together.
        grouped: those in a Sum or an Increasing, whose coordinates mean something together only.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._units = [u for u in space.units if u.group is not None or u.params[0].n_values != 1]
        self.names = tuple(name for unit in self._units for name in unit.names)
        self.grouped = frozenset(name for u in self._units if u.group is not None for name in u.names)

    def config(self, point: Sequence[float] | np.ndarray) -> Params:
        """The valid configuration at a point of (n_names,) numbers; what lies outside the cube is clipped."""
        inside = [min(max(float(u), _EDGE), 1 - _EDGE) for u in point]
        values: dict[str, Value] = {}
        start = 0
        for unit in self._units:
            here = inside[start : start + len(unit.names)]
            start += len(here)
            if unit.group is None:
                values[unit.names[0]] = unit.params[0].from_unit(here[0])
            else:
                values.update(zip(unit.names, _of_group(unit.group, here), strict=True))
        return self._space.repair(values)

    def point(self, params: Params) -> list[float]:
        """A point that leads to a valid configuration; inactive parameters at their default."""
        full = {**self._space.repair({}), **params}
        coordinates: list[float] = []
        for unit in self._units:
            values = [full.get(param.name, param.default) for param in unit.params]
            if unit.group is not None and isinstance(unit.group.constraint, Sum):
                coordinates += _weights_of(unit.group, [_number(value) for value in values])
            else:
                coordinates += [_to_unit(p, value) for p, value in zip(unit.params, values, strict=True)]
        return coordinates


def unless_known(
    space: SearchSpace, history: History, params: Params, reason: Mapping[str, Any], rng: np.random.Generator
) -> tuple[Params, Mapping[str, Any]] | None:
    """What an engine proposed; a random configuration where the history holds it; None when none is left."""
    if config_key(params) not in history:
        return params, reason
    unseen = draw_unseen(space, history, rng)
    return None if unseen is None else (unseen, {"design": "random"})


def _of_group(group: Group, here: Sequence[float]) -> list[float]:
    if isinstance(group.constraint, Sum):
        return _of_sum(group, here)
    values = [param.from_unit(u) for param, u in zip(group.params, here, strict=True)]
    if values == sorted(values):
        return values
    return [param.from_unit(u) for param, u in zip(group.params, sorted(here), strict=True)]


def _of_sum(group: Group, here: Sequence[float]) -> list[float]:
    """Members near the sum's plane, to be projected onto it."""
    to_share, mirrored = _to_share(group)
    weights = [-log(u) for u in here]
    scale = to_share / fsum(weights)
    # Moved off the plane in the direction in which projection leads back: what lay on it would be taken as
    # given, with all its digits.
    lift = to_share / len(here)
    return [
        (p.high - w * scale if mirrored else p.low + w * scale) + lift
        for p, w in zip(group.params, weights, strict=True)
    ]


def _weights_of(group: Group, values: Sequence[float]) -> list[float]:
    to_share, mirrored = _to_share(group)
    if to_share <= 0:
        return [0.5] * len(values)
    shares = [p.high - v if mirrored else v - p.low for p, v in zip(group.params, values, strict=True)]
    heaviest = min(float(len(values)), _MOST_WEIGHT)
    return [min(max(exp(-heaviest * share / to_share), _EDGE), 1 - _EDGE) for share in shares]


def _to_share(group: Group) -> tuple[float, bool]:
    """What the members share above their lows; or mirrored, below their highs, where bounds bite less."""
    assert isinstance(group.constraint, Sum)
    above = group.constraint.equals - fsum(param.low for param in group.params)
    below = fsum(param.high for param in group.params) - group.constraint.equals
    return max(min(above, below), 0.0), below < above


def _to_unit(param: Param, value: Value) -> float:
    if isinstance(param, CategoricalParam):
        return param.to_unit(value)
    return param.to_unit(_number(value))


def _number(value: Value) -> float:
    assert isinstance(value, int | float)
    return value
