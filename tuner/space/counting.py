"""Counting and listing the configurations of a finite space."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from tuner.errors import SpaceError
from tuner.experiment import Value
from tuner.space.values import typed

if TYPE_CHECKING:
    from tuner.space.space import SearchSpace, Unit

__all__ = ["MAX_SIZE", "enumerate_space", "size_of"]

MAX_SIZE = 10**6
"""Spaces of more configurations than this are as good as infinite: `size` says None."""


def size_of(space: "SearchSpace") -> int | None:
    """Number of configurations; None where a parameter is continuous or there are more than MAX_SIZE.

    Only units that forbids reach or that others depend on are walked through, with values that nothing names
    taken together; each of the rest multiplies by its own count where it is active.
    """
    if any(param.n_values is None for param in space.params.values()):
        return None
    walked = _walked(space)
    apart = [unit for unit in space.units if not walked.intersection(unit.names)]
    always = 1.0
    for unit in apart:
        if unit.condition is None:
            always *= unit.count()
    if always > MAX_SIZE:
        return None
    conditional = [unit for unit in apart if unit.condition is not None]
    units = [unit for unit in space.units if walked.intersection(unit.names)]
    total = 0.0
    for values, ways in _weighted(space, units, {}, 1.0):
        product = always * ways
        for unit in conditional:
            assert unit.condition is not None
            if unit.condition.holds(values):
                product *= unit.count()
        total += product
        if total > MAX_SIZE:
            return None
    return round(total)


def _walked(space: "SearchSpace") -> set[str]:
    """Names that the number of the others depends on."""
    parents = chain.from_iterable(condition.parents for condition in space.conditions.values())
    return {name for name, _ in parents} | set(space.forbids.names if space.forbids else ())


def _weighted(
    space: "SearchSpace", units: list["Unit"], values: dict[str, Value], ways: float
) -> Iterator[tuple[dict[str, Value], float]]:
    """Yield allowed values of the units with the number of configurations each stands for."""
    if space.forbids is not None and space.forbids.violated(values):
        return
    if not units:
        yield values, ways
        return
    unit, rest = units[0], units[1:]
    if unit.condition is not None and not unit.condition.holds(values):
        yield from _weighted(space, rest, values, ways)
        return
    for option, count in _options(space, unit):
        yield from _weighted(space, rest, {**values, **option}, ways * count)


def _options(space: "SearchSpace", unit: "Unit") -> Iterator[tuple[dict[str, Value], float]]:
    if unit.group is not None:
        for option in unit.options():
            yield option, 1.0
        return
    name = unit.names[0]
    named = _named_keys(space, name)
    n_values = space.params[name].n_values or 0
    for key in sorted(named, key=repr):
        yield {name: key[1]}, 1.0
    n_other = n_values - len(named)
    if n_other:
        other = next(o for o in unit.options() if typed(o[name]) not in named)
        yield other, float(n_other)


def _named_keys(space: "SearchSpace", name: str) -> set[tuple[type, Value]]:
    named = set(space.forbids.named[name]) if space.forbids is not None else set()
    for condition in space.conditions.values():
        for parent, keys in condition.parents:
            if parent == name:
                named |= keys
    return named


def enumerate_space(space: "SearchSpace") -> Iterator[dict[str, Value]]:
    """Yield every configuration of a finite space, in a fixed order.

    Raises:
        SpaceError: a parameter is continuous.
    """
    continuous = [param.name for param in space.params.values() if param.n_values is None]
    if continuous:
        raise SpaceError(
            f"Only a space of countable parameters can be listed, but these are continuous: {', '.join(continuous)}.",
            "Give them a step.",
        )
    return _listed(space, 0, {})


def _listed(space: "SearchSpace", place: int, values: dict[str, Value]) -> Iterator[dict[str, Value]]:
    if space.forbids is not None and space.forbids.violated(values):
        return
    if place == len(space.units):
        yield space.sorted(values)
        return
    unit = space.units[place]
    if unit.condition is not None and not unit.condition.holds(values):
        yield from _listed(space, place + 1, values)
        return
    for option in unit.options():
        yield from _listed(space, place + 1, {**values, **option})
