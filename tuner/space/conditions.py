"""Conditions: which parameters are active in a configuration, and the order in which that can be decided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tuner.errors import SpaceError, did_you_mean
from tuner.experiment import Value
from tuner.space.params import CategoricalParam, Param
from tuner.space.values import show, typed

__all__ = ["Condition", "Conditions", "deciding_order"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One parameter's `when`, by typed keys: every parent must be active and hold one of its values."""

    parents: tuple[tuple[str, frozenset[tuple[type, Value]]], ...]

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Whether it holds among the active `values`."""
        for parent, keys in self.parents:
            if parent not in values:
                return False
            value = values[parent]
            if (value.__class__, value) not in keys:
                return False
        return True


Conditions = Mapping[str, Condition]
"""The condition of each parameter that has one."""


def checked_conditions(params: Mapping[str, Param]) -> Conditions:
    """Check every `when` against its parents.

    Raises:
        SpaceError: an unknown or continuous parent, or a value the parent cannot have.
    """
    conditions = {}
    for param in params.values():
        if not param.when:
            continue
        parents = []
        for parent, values in param.when.items():
            if parent not in params:
                raise SpaceError(
                    f"`when` of {param.name!r} names {parent!r}, which is no parameter of this space."
                    f"{did_you_mean(parent, params)}",
                    f"The space has: {', '.join(params)}.",
                )
            parents.append((parent, frozenset(_keys(param.name, params[parent], values))))
        conditions[param.name] = Condition(tuple(parents))
    return conditions


def _keys(name: str, parent: Param, values: Iterable[Value]) -> Iterable[tuple[type, Value]]:
    if parent.n_values is None:
        raise SpaceError(
            f"`when` of {name!r} must name a parameter of countable values, but {parent.name!r} is continuous.",
            f"Give {parent.name!r} a step, or make it an int or categorical parameter.",
        )
    for value in values:
        checked, problem = parent.check(value)
        if problem:
            raise SpaceError(f"`when` of {name!r} can never hold: {problem}")
        yield typed(checked)


def deciding_order(params: Mapping[str, Param], conditions: Conditions) -> list[str]:
    """Return all names with parents before children, else in the order given.

    Raises:
        SpaceError: the conditions form a circle; names it.
    """
    order: dict[str, None] = {}
    for start in params:
        path: list[str] = []
        _place(start, conditions, order, path)
    return list(order)


def _place(start: str, conditions: Conditions, order: dict[str, None], path: list[str]) -> None:
    # Written with a stack of its own: a chain of conditions may be longer than Python's recursion limit.
    stack = [start]
    on_path: dict[str, None] = {}
    while stack:
        name = stack[-1]
        if name in order:
            stack.pop()
            on_path.pop(name, None)
            continue
        on_path[name] = None
        waiting = [p for p, _ in conditions[name].parents if p not in order] if name in conditions else []
        circle = next((p for p in waiting if p in on_path), None)
        if circle is not None:
            names = list(on_path)
            ring = [*reversed(names[names.index(circle) :])]
            raise SpaceError(
                f"The conditions form a circle: {' needs '.join([*ring, ring[0]])}.",
                f"Leave out the `when` of one of {show(ring)}.",
            )
        if waiting:
            stack.extend(reversed(waiting))
        else:
            order[name] = None
            stack.pop()
            on_path.pop(name, None)
