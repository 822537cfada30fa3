"""The units a configuration is made of: a free parameter, or the members of a Sum or Increasing together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuner.experiment import Value
from tuner.space.conditions import Condition
from tuner.space.groups import Group
from tuner.space.params import CategoricalParam, NumericParam, Param
from tuner.space.values import plain

__all__ = ["Unit"]


@dataclass(frozen=True, slots=True)
class Unit:
    """Parameters that are active together and get their values together.

    Attributes:
        params: one free parameter, or the members of `group` in the group's order.
        names: their names.
        group: the constraint over them, or None for a free parameter.
        condition: when they are active; None for always.
    """

    params: tuple[Param, ...]
    names: tuple[str, ...]
    group: Group | None
    condition: Condition | None

    def draw(self, u: float, rng: np.random.Generator) -> Mapping[str, Value]:
        """Draw values; `u` in [0, 1) decides a free parameter, `rng` a group."""
        if self.group is None:
            return {self.names[0]: self.params[0].from_unit(u)}
        return dict(zip(self.names, self.group.draw(rng), strict=True))

    def nearest(self, config: Mapping[str, Any]) -> Mapping[str, Value]:
        """The nearest values to those in `config`; the default stands in for a missing or senseless one."""
        if self.group is None:
            param, name = self.params[0], self.names[0]
            return {name: param.nearest(config[name]) if name in config else param.default}
        wanted = [_wish(param, config) for param in self.group.params]
        return dict(zip(self.names, self.group.nearest(wanted), strict=True))

    def options(self) -> Iterator[dict[str, Value]]:
        """Every choice of a countable unit, in a fixed order."""
        if self.group is not None:
            for vector in self.group.vectors():
                yield dict(zip(self.names, vector, strict=True))
            return
        param = self.params[0]
        if isinstance(param, CategoricalParam):
            for choice in param.choices:
                yield {param.name: choice}
        else:
            for index in range(param.n_values or 0):
                yield {param.name: param.at(index)}

    def count(self) -> float:
        """How many choices there are; infinite where continuous or beyond counting."""
        if self.group is not None:
            return self.group.count()
        return float(self.params[0].n_values or 0) or float("inf")


def _wish(param: NumericParam, config: Mapping[str, Any]) -> float:
    """The number given for a group's member, even out of bounds; its default where none was."""
    value = plain(config.get(param.name))
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        return float(param.default)
    return float(min(max(value, -1e300), 1e300))
