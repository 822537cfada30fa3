"""The units a configuration is made of: a free parameter, or the members of a Sum or Increasing together."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuner.experiment import Value
from tuner.space.conditions import Condition
from tuner.space.groups import Group
from tuner.space.params import Param
from tuner.space.values import is_number, plain

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

    def is_active(self, values: Mapping[str, Value]) -> bool:
        """Whether the unit is in use among the active `values`."""
        return self.condition is None or self.condition.holds(values)

    def nearest(self, config: Mapping[str, Any]) -> dict[str, Value]:
        """Return the values nearest to those in `config`; defaults for missing and senseless ones."""
        if self.group is None:
            param, name = self.params[0], self.names[0]
            return {name: param.nearest(config[name]) if name in config else param.default}
        wanted = [_wish(param, config) for param in self.params]
        return dict(zip(self.names, self.group.nearest(wanted), strict=True))

    def options(self) -> Iterator[dict[str, Value]]:
        """Yield every choice of a countable unit, in a fixed order."""
        if self.group is not None:
            for vector in self.group.vectors():
                yield dict(zip(self.names, vector, strict=True))
            return
        param = self.params[0]
        for index in range(param.n_values or 0):
            yield {param.name: param.at(index)}

    def count(self) -> float:
        """Return how many choices there are; infinite where continuous or beyond counting."""
        if self.group is not None:
            return self.group.count()
        n_values = self.params[0].n_values
        return math.inf if n_values is None else float(n_values)


def _wish(param: Param, config: Mapping[str, Any]) -> float:
    """Return the number given for a group's member, even out of bounds; its default where none was."""
    value: Any = plain(config.get(param.name))
    if not is_number(value) or value != value:
        value = param.default
    wish: float = min(max(value, -1e100), 1e100)
    return wish
