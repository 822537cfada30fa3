"""Conditions: which parameters are active in a configuration, and in which order that can be decided."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tuner.errors import SpaceError, did_you_mean
from tuner.experiment import Value
from tuner.space.params import Param
from tuner.space.values import brief, typed

__all__ = ["Condition", "Conditions", "Key", "checked_conditions", "deciding_order"]

Key = tuple[type, Value]
"""A value that knows its type (see `typed`)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One parameter's `when`: every parent must be active and hold one of its values, by typed keys."""

    parents: tuple[tuple[str, frozenset[Key]], ...]

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


def checked_conditions(params: Mapping[str, Param]) -> dict[str, Condition]:
    """Check every `when` against its parents.

    Raises:
        SpaceError: an unknown or continuous parent, or a value the parent cannot have.
    """
    return {
        param.name: Condition(tuple(_checked_parents(param, params)))
        for param in params.values()
        if param.when
    }


def _checked_parents(param: Param, params: Mapping[str, Param]) -> Iterator[tuple[str, frozenset[Key]]]:
    for name, values in (param.when or {}).items():
        if name not in params:
            raise SpaceError(
                f"`when` of {param.name!r} names {brief(name)}, which is no parameter of this space."
                f"{did_you_mean(str(name), params)}",
                f"The space has: {', '.join(params)}.",
            )
        parent, keys = params[name], set()
        if parent.n_values is None:
            raise SpaceError(
                f"`when` of {param.name!r} must name a countable parameter, but {name!r} is continuous.",
                f"Give {name!r} a step, or make it an int or categorical parameter.",
            )
        for value in values:
            checked, problem = parent.check(value)
            if problem:
                raise SpaceError(f"`when` of {param.name!r} can never hold: {problem}")
            keys.add(typed(checked))
        yield name, frozenset(keys)


def deciding_order(params: Mapping[str, Param], conditions: Conditions) -> list[str]:
    """Return all names with parents before children, else in the order given.

    Raises:
        SpaceError: the conditions form a circle; names it.
    """
    order: dict[str, None] = {}
    for start in params:
        # With a stack of its own: a chain of conditions may be longer than Python's recursion limit.
        stack = [start]
        entered: dict[str, None] = {}  # the path from start down to the top of the stack
        while stack:
            name = stack[-1]
            waiting = _undecided_parents(name, conditions, order)
            if not waiting:
                order[name] = None
                entered.pop(name, None)
                stack.pop()
                continue
            entered[name] = None
            _refuse_circle(entered, waiting)
            stack.extend(waiting)
    return list(order)


def _undecided_parents(name: str, conditions: Conditions, order: Mapping[str, None]) -> list[str]:
    if name in order or name not in conditions:
        return []
    return [parent for parent, _ in conditions[name].parents if parent not in order]


def _refuse_circle(entered: Mapping[str, None], waiting: list[str]) -> None:
    closing = next((parent for parent in waiting if parent in entered), None)
    if closing is None:
        return
    path = list(entered)
    ring = path[path.index(closing) :]
    raise SpaceError(
        f"The conditions form a circle: {' needs '.join([*ring, closing])}.",
        f"Leave out the `when` of one of: {', '.join(ring)}.",
    )
