"""Leaving forbidden combinations: backtracking over the parameters that forbids reach, with conflict-directed jumps.

Values that no forbid and no condition names all have the same consequences, so a free parameter offers only the
values that are named, plus the nearest one that is not: the search is over a handful of values however wide the
parameter is. Members of a Sum or Increasing offer what their group can still complete. When every value of a
parameter fails, the search returns to the last parameter that had a part in a failure, and skips those that had
none. Nothing is drawn here: what is wanted comes in, and the nearest that is allowed comes out.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tuner.experiment import Value
from tuner.space.conditions import Conditions
from tuner.space.groups import Domain, Group
from tuner.space.params import CategoricalParam, NumericParam, Param
from tuner.space.values import typed

__all__ = ["CompiledForbid", "Forbids"]

Key = tuple[type, Value]

_FEW = 3
"""Up to this many changes are sought fewest first; beyond, any allowed combination will do."""


@dataclass(frozen=True, slots=True)
class CompiledForbid:
    """One forbid by typed keys: `matches` when all names are active and hold one of theirs."""

    keys: tuple[tuple[str, frozenset[Key]], ...]
    text: str

    def matches(self, values: Mapping[str, Value]) -> bool:
        for name, keys in self.keys:
            if name not in values:
                return False
            value = values[name]
            if (value.__class__, value) not in keys:
                return False
        return True

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.keys)


@dataclass
class _Search:
    """State of one search: the values settled so far and the parameters or groups moved from what is wanted."""

    wanted: Mapping[str, Value]
    fixed: Collection[str]
    budget: float
    values: dict[str, Value] = field(default_factory=dict)
    moved: list[tuple[str, ...]] = field(default_factory=list)


class Forbids:
    """The forbids of one space and the parameters that they reach.

    Args:
        params: all parameters of the space.
        order: all names, parents before children.
        conditions: by name.
        groups: the group of each name that is in one.
        forbids: at least one.
    """

    def __init__(
        self,
        params: Mapping[str, Param],
        order: Sequence[str],
        conditions: Conditions,
        groups: Mapping[str, Group],
        forbids: Sequence[CompiledForbid],
    ) -> None:
        self._params, self._conditions, self._groups, self._order = params, conditions, groups, order
        self.forbids = tuple(forbids)
        reached = self._reached()
        self.names = self._grouped([name for name in order if name in reached])
        self.named = self._named_keys()
        place = {name: i for i, name in enumerate(self.names)}
        self._ending: dict[str, list[CompiledForbid]] = {name: [] for name in self.names}
        for forbid in self.forbids:
            self._ending[max(forbid.names, key=place.__getitem__)].append(forbid)
        self._parents = {
            name: frozenset(p for p, _ in conditions[name].parents) if name in conditions else frozenset()
            for name in self.names
        }

    def _reached(self) -> set[str]:
        """The names in forbids, with their groups and all that decides whether they are active."""
        todo = [name for forbid in self.forbids for name in forbid.names]
        reached: set[str] = set()
        while todo:
            name = todo.pop()
            if name in reached:
                continue
            reached.add(name)
            if name in self._conditions:
                todo += [parent for parent, _ in self._conditions[name].parents]
            if name in self._groups:
                todo += self._groups[name].names
        return reached

    def _grouped(self, names: Sequence[str]) -> list[str]:
        """Move the members of each group together, in the group's own order, to the place of its first."""
        placed: dict[str, None] = {}
        for name in names:
            for member in self._groups[name].names if name in self._groups else (name,):
                placed[member] = None
        return list(placed)

    def _named_keys(self) -> dict[str, set[Key]]:
        """The values of each parameter that some forbid or condition names."""
        named: dict[str, set[Key]] = {name: set() for name in self._params}
        for forbid in self.forbids:
            for name, keys in forbid.keys:
                named[name] |= keys
        for condition in self._conditions.values():
            for parent, keys in condition.parents:
                named[parent] |= keys
        return named

    def violated(self, values: Mapping[str, Value]) -> list[CompiledForbid]:
        """The forbids that these active values match."""
        return [forbid for forbid in self.forbids if forbid.matches(values)]

    def escape(self, wanted: Mapping[str, Value], fixed: Collection[str] = ()) -> dict[str, Value] | None:
        """Return allowed values of the active `names`, changing as few of the wanted ones as possible.

        Args:
            wanted: a value for each of `names`, inactive ones included; groups must satisfy their constraint.
            fixed: names that must keep what is wanted where they are active.

        Returns:
            None when there is no allowed combination.
        """
        for budget in (*range(1, _FEW + 1), math.inf):
            search = _Search(wanted, fixed, budget)
            if self._settle(search, 0) is None:
                return search.values
        return None

    def contradiction(self, wanted: Mapping[str, Value]) -> list[str]:
        """Return forbids, as text, that cannot be kept together and could if any one of them were dropped."""
        needed = list(self.forbids)
        for forbid in self.forbids:
            others = [other for other in needed if other is not forbid]
            if others and self._with(others).escape(wanted) is None:
                needed = others
        return [forbid.text for forbid in needed]

    def _with(self, forbids: Sequence[CompiledForbid]) -> "Forbids":
        return Forbids(self._params, self._order, self._conditions, self._groups, forbids)

    def _settle(self, search: _Search, place: int) -> set[str] | None:
        """Settle the names from `place` on. Return None when done, else the names that had a part in failing."""
        if place == len(self.names):
            return None
        name = self.names[place]
        condition = self._conditions.get(name)
        if condition is not None and not condition.holds(search.values):
            conflict = self._settle(search, place + 1)
            if conflict is not None and name in conflict:
                conflict = (conflict - {name}) | self._parents[name]
            return conflict
        return self._try_values(search, place, name)

    def _try_values(self, search: _Search, place: int, name: str) -> set[str] | None:
        conflict: set[str] = set(self._parents[name])
        unit: tuple[str, ...] = (name,)
        if name in self._groups:
            unit = self._groups[name].names
            conflict.update(unit[: unit.index(name)])
        for value in self._candidates(search, name):
            moved = () if typed(value) == typed(search.wanted[name]) else unit
            if moved and unit not in search.moved and len(search.moved) >= search.budget:
                # Every later candidate would be a change too; another choice further up might save one.
                conflict.update(self.names[:place])
                break
            failed_with = self._try_value(search, place, name, value, moved)
            if failed_with is None:
                return None
            conflict |= failed_with
            if name not in failed_with:
                return failed_with
        return conflict - {name}

    def _try_value(
        self, search: _Search, place: int, name: str, value: Value, moved: tuple[str, ...]
    ) -> set[str] | None:
        search.values[name] = value
        matched = [forbid for forbid in self._ending[name] if forbid.matches(search.values)]
        if matched:
            del search.values[name]
            return {other for forbid in matched for other in forbid.names}
        newly_moved = bool(moved) and moved not in search.moved
        if newly_moved:
            search.moved.append(moved)
        conflict = self._settle(search, place + 1)
        if conflict is not None:
            del search.values[name]
            if newly_moved:
                search.moved.remove(moved)
        return conflict

    def _candidates(self, search: _Search, name: str) -> Iterator[Value]:
        """The values worth trying, nearest to what is wanted first."""
        wanted, param = search.wanted[name], self._params[name]
        if isinstance(param, CategoricalParam):
            start = param.index_by_key[typed(wanted)]
            found: Iterator[Value] = iter((*param.choices[start:], *param.choices[:start]))
        elif name in self._groups:
            found = self._group_candidates(search, self._groups[name], param, wanted)
        else:
            found = self._free_candidates(param, wanted)
        if name in search.fixed:
            return (value for value in found if typed(value) == typed(wanted))
        return found

    def _group_candidates(self, search: _Search, group: Group, param: Param, wanted: Any) -> Iterator[Value]:
        assert not isinstance(param, CategoricalParam)
        before = group.names[: group.names.index(param.name)]
        domain = group.domain([search.values[name] for name in before])  # type: ignore[misc]
        if domain.indices is not None:
            return (param.at(index) for index in _outward(domain.indices, param.index_of(wanted)))
        return _spread(domain, wanted, sum(len(self.named[name]) for name in group.names) + 4)

    def _free_candidates(self, param: Param, wanted: Any) -> Iterator[Value]:
        assert not isinstance(param, CategoricalParam)
        named = self.named[param.name]
        unnamed = next((v for v in _outward_values(param, wanted) if typed(v) not in named), None)
        values = [value for _, value in named] + ([] if unnamed is None else [unnamed])
        return iter(sorted(values, key=lambda value: abs(value - wanted)))  # type: ignore[operator]


def _outward(indices: Sequence[int], start: int) -> Iterator[int]:
    """Yield sorted indices by their distance from `start`, the lower first of two."""
    up = bisect_left(indices, start)
    down = up - 1
    while down >= 0 or up < len(indices):
        if up == len(indices) or (down >= 0 and start - indices[down] <= indices[up] - start):
            yield indices[down]
            down -= 1
        else:
            yield indices[up]
            up += 1


def _outward_values(param: NumericParam, wanted: Any) -> Iterator[Value]:
    """Values of a numeric parameter, by their distance from `wanted` (in thousandths of its scale if continuous)."""
    if param.n_values is not None:
        for index in _outward(range(param.n_values), param.index_of(wanted)):
            yield param.at(index)
        return
    yield wanted
    at = float(param.encode([wanted])[0, 0])
    for step in range(1, 1001):
        for u in (at - step / 1000, at + step / 1000):
            if 0 <= u <= 1:
                yield param.from_unit(u)


def _spread(domain: Domain, wanted: float, n: int) -> Iterator[float]:
    """Yield up to n different points of an interval, near `wanted` first."""
    start = min(max(wanted, domain.low), domain.high)
    yield start
    width = domain.high - domain.low
    points = (start + sign * width * step / (2 * n) for step in range(1, 2 * n + 1) for sign in (-1, 1))
    inside = (point for point in points if domain.low < point < domain.high and point != start)
    yield from islice(inside, n)
