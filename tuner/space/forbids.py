"""Leaving forbidden combinations: backtracking over the parameters that forbids reach.

Values that no forbid and no condition names all have the same consequences, so a free parameter offers only
the values that are named, and the nearest one that is not: the search is over a handful of values, however
wide the parameter is. Members of a Sum or Increasing offer what their group can still complete.

When every value of a parameter fails, the search goes back to the last parameter that had a part in a
failure and passes over those that had none (conflict-directed backjumping: P. Prosser, "Hybrid algorithms
for the constraint satisfaction problem", Computational Intelligence 9(3), 1993). Nothing is drawn here:
what is wanted comes in, and an allowed combination close to it comes out.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from tuner.experiment import Value
from tuner.space.candidates import candidates, near
from tuner.space.conditions import Conditions, Key
from tuner.space.groups import Group
from tuner.space.params import Param

__all__ = ["CompiledForbid", "Forbids"]

_FEW = 3
"""Up to this many changes are sought fewest first; beyond, any allowed combination will do."""

_READABLE = 20
"""Up to this many forbids are sifted for those that a contradiction cannot do without."""


@dataclass(frozen=True, slots=True)
class CompiledForbid:
    """One forbid by typed keys, with its declaration as text."""

    keys: tuple[tuple[str, frozenset[Key]], ...]
    text: str

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters it names."""
        return tuple(name for name, _ in self.keys)

    def matches(self, values: Mapping[str, Value]) -> bool:
        """Whether all its parameters are active among `values` and hold one of its values."""
        for name, keys in self.keys:
            if name not in values:
                return False
            value = values[name]
            if (value.__class__, value) not in keys:
                return False
        return True


@dataclass
class _Search:
    """The state of one search.

    Attributes:
        moved: the free parameters and groups that are not as wanted, each by its names.
        matched: the forbids that stood in the way so far.
    """

    wanted: Mapping[str, Value]
    fixed: Collection[str]
    budget: float
    values: dict[str, Value] = field(default_factory=dict)
    moved: list[tuple[str, ...]] = field(default_factory=list)
    matched: set[CompiledForbid] = field(default_factory=set)


@dataclass
class _Choice:
    """One name being settled.

    Attributes:
        unit: the names of its group, or itself alone.
        values: the candidates not tried yet.
        conflict: the names settled earlier that had a part in the failure of the values tried.
        moves: whether the value it has moves its unit away from what is wanted.
    """

    place: int
    name: str
    unit: tuple[str, ...]
    values: Iterator[Value]
    conflict: set[str]
    moves: bool = False


class Forbids:
    """The forbids of one space and the parameters that they reach.

    Args:
        params: all parameters of the space.
        order: all names, parents before children.
        conditions: by name.
        groups: the group of each name that is in one.
        forbids: at least one.

    Attributes:
        names: the parameters in forbids, with their groups and all that decides whether they are active;
            parents before children, members of a group together.
    """

    def __init__(
        self,
        params: Mapping[str, Param],
        order: Sequence[str],
        conditions: Conditions,
        groups: Mapping[str, Group],
        forbids: Sequence[CompiledForbid],
    ) -> None:
        self._params, self._order, self._conditions, self._groups = params, order, conditions, groups
        self.forbids = tuple(forbids)
        reached = self._reached()
        units = (groups[name].names if name in groups else (name,) for name in order if name in reached)
        self.names = tuple(dict.fromkeys(name for unit in units for name in unit))
        self._named = self._named_keys()
        place = {name: i for i, name in enumerate(self.names)}
        self._ending: dict[str, list[CompiledForbid]] = {name: [] for name in self.names}
        for forbid in self.forbids:
            self._ending[max(forbid.names, key=place.__getitem__)].append(forbid)

    def _reached(self) -> set[str]:
        todo = [name for forbid in self.forbids for name in forbid.names]
        reached: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in reached:
                reached.add(name)
                todo += self._parents(name)
                todo += self._groups[name].names if name in self._groups else ()
        return reached

    def _parents(self, name: str) -> list[str]:
        return [parent for parent, _ in self._conditions[name].parents] if name in self._conditions else []

    def _named_keys(self) -> dict[str, set[Key]]:
        """Return the values of each reached parameter that some forbid or condition names."""
        named: dict[str, set[Key]] = {name: set() for name in self.names}
        conditions = (condition.parents for condition in self._conditions.values())
        for pairs in (*(forbid.keys for forbid in self.forbids), *conditions):
            for name, keys in pairs:
                if name in named:
                    named[name] |= keys
        return named

    def violated(self, values: Mapping[str, Value]) -> list[CompiledForbid]:
        """Return the forbids that these active values match."""
        return [forbid for forbid in self.forbids if forbid.matches(values)]

    def escape(self, wanted: Mapping[str, Value], fixed: Collection[str] = ()) -> dict[str, Value] | None:
        """Return allowed values of the active `names`, moving few of the wanted ones and none far.

        Args:
            wanted: a value for each of `names`, inactive ones included; groups satisfy their constraint.
            fixed: names that must keep what is wanted where they are active.

        Returns:
            None when there is no allowed combination.
        """
        for budget in (*range(_FEW + 1), math.inf):
            search = _Search(wanted, fixed, budget)
            if self._solve(search):
                return search.values
        return None

    def contradiction(self, wanted: Mapping[str, Value]) -> list[str]:
        """Return forbids, as text, that together leave nothing.

        None of them can be spared, unless they are so many that nobody would read them all.
        """
        search = _Search(wanted, (), math.inf)
        self._solve(search)
        needed = [forbid for forbid in self.forbids if forbid in search.matched]
        for forbid in needed if len(needed) <= _READABLE else ():
            others = [other for other in needed if other is not forbid]
            if others and self._with_only(others).escape(wanted) is None:
                needed = others
        return [forbid.text for forbid in needed]

    def _with_only(self, forbids: Sequence[CompiledForbid]) -> "Forbids":
        return Forbids(self._params, self._order, self._conditions, self._groups, forbids)

    def _solve(self, search: _Search) -> bool:
        """Settle all active names. With a stack of its own: there may be more names than recursion allows."""
        stack: list[_Choice] = []
        while (choice := self._next_choice(search, stack)) is not None:
            stack.append(choice)
            while not self._advance(search, stack[-1]):
                # Go back to the last choice that had a part in this failure, and blame it for the rest of it.
                conflict = stack.pop().conflict
                while stack and stack[-1].name not in conflict:
                    _take_back(search, stack.pop())
                if not stack:
                    return False
                _take_back(search, stack[-1])
                stack[-1].conflict |= conflict - {stack[-1].name}
        return True

    def _next_choice(self, search: _Search, stack: Sequence[_Choice]) -> _Choice | None:
        """Return the next active name to settle, or None when there is none left."""
        for place in range(stack[-1].place + 1 if stack else 0, len(self.names)):
            name = self.names[place]
            if name not in self._conditions or self._conditions[name].holds(search.values):
                unit = self._groups[name].names if name in self._groups else (name,)
                # Earlier members of its group narrowed the values, and its parents made it active.
                conflict = {*self._parents(name), *unit[: unit.index(name)]}
                return _Choice(place, name, unit, self._candidates(search, name), conflict)
        return None

    def _advance(self, search: _Search, choice: _Choice) -> bool:
        """Give the choice its next value that no forbid rules out. False when there is none."""
        name = choice.name
        for value in choice.values:
            moves = choice.unit not in search.moved and not near(value, search.wanted[name])
            if moves and len(search.moved) >= search.budget:
                # All further values are moves as well. Taking back an earlier move is what might help.
                choice.conflict.update(chain.from_iterable(search.moved))
                return False
            search.values[name] = value
            matched = [forbid for forbid in self._ending[name] if forbid.matches(search.values)]
            if not matched:
                choice.moves = moves
                search.moved += [choice.unit] if moves else []
                return True
            del search.values[name]
            search.matched.update(matched)
            choice.conflict.update(*(forbid.names for forbid in matched))
            choice.conflict.discard(name)
        return False

    def _candidates(self, search: _Search, name: str) -> Iterator[Value]:
        wanted = search.wanted[name]
        group = self._groups.get(name)
        named = [self._named[member] for member in group.names] if group else [self._named[name]]
        found = candidates(self._params[name], group, search.values, wanted, set().union(*named))
        if name not in search.fixed:
            return found
        return (value for value in islice(found, 1) if near(value, wanted))


def _take_back(search: _Search, choice: _Choice) -> None:
    del search.values[choice.name]
    if choice.moves:
        search.moved.remove(choice.unit)
