"""Counting and listing the configurations of a finite space."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tuner.errors import SpaceError
from tuner.experiment import Value
from tuner.space.conditions import Key
from tuner.space.units import Unit
from tuner.space.values import typed

if TYPE_CHECKING:
    from tuner.space.space import SearchSpace

__all__ = ["MAX_SIZE", "enumerate_space", "size_of"]

Weighted = tuple[dict[str, Value], float]
"""Values by name, and how many configurations they stand for."""

Options = Callable[[Unit], Iterable[Weighted]]
"""The choices of one unit."""

MAX_SIZE = 10**6
"""Spaces of more configurations than this are as good as infinite: `size` says None."""


def size_of(space: "SearchSpace") -> int | None:
    """Return the number of configurations; None with a continuous parameter, or for more than MAX_SIZE.

    Only units that a forbid or a condition names are walked through, with the values that nothing names taken
    together; every other unit multiplies by its own count where it is active.
    """
    if _continuous(space):
        return None
    named = _named_keys(space)
    walked = [unit for unit in space.units if not named.keys().isdisjoint(unit.names)]
    others = [unit for unit in space.units if named.keys().isdisjoint(unit.names)]
    always = 1.0
    for unit in others:
        always *= unit.count() if unit.condition is None else 1.0
    sometimes = [(unit.condition, unit.count()) for unit in others if unit.condition is not None]
    total = 0.0
    for values, n_alike in _walk(space, walked, partial(_named_options, named)) if always <= MAX_SIZE else ():
        product = always * n_alike
        for condition, count in sometimes:
            product *= count if condition.holds(values) else 1.0
        total += product
        if total > MAX_SIZE:
            break
    return round(total) if always <= MAX_SIZE and total <= MAX_SIZE else None


def _continuous(space: "SearchSpace") -> list[str]:
    return [param.name for param in space.params.values() if param.n_values is None]


def _named_keys(space: "SearchSpace") -> dict[str, set[Key]]:
    """Return the values that forbids and conditions name, by parameter."""
    conditions = (condition.parents for condition in space.conditions.values())
    forbids = (forbid.keys for forbid in space.forbids.forbids) if space.forbids is not None else ()
    named: dict[str, set[Key]] = {}
    for pairs in (*conditions, *forbids):
        for name, keys in pairs:
            named.setdefault(name, set()).update(keys)
    return named


def _walk(space: "SearchSpace", units: Sequence[Unit], options: Options) -> Iterator[Weighted]:
    """Yield every allowed choice for the units, in a fixed order, and how many each yield stands for."""
    levels: list[Iterator[tuple[int, Weighted]]] = [iter([(0, ({}, 1.0))])]
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
            continue
        place, (values, weight) = found
        if space.forbids is not None and space.forbids.violated(values):
            continue
        while place < len(units) and not units[place].is_active(values):
            place += 1
        if place == len(units):
            yield values, weight
        else:
            levels.append(_extended(place, values, weight, options(units[place])))


def _extended(
    place: int, values: Mapping[str, Value], weight: float, options: Iterable[Weighted]
) -> Iterator[tuple[int, Weighted]]:
    return ((place + 1, ({**values, **option}, weight * count)) for option, count in options)


def _named_options(named: Mapping[str, set[Key]], unit: Unit) -> Iterator[Weighted]:
    """Yield the choices of a unit; of a free parameter all that nothing names as one."""
    if unit.group is not None:
        yield from _options(unit)
        return
    name, keys = unit.names[0], named[unit.names[0]]
    yield from (({name: value}, 1.0) for _, value in keys)
    n_unnamed = unit.count() - len(keys)
    if n_unnamed:
        yield next(option for option in unit.options() if typed(option[name]) not in keys), n_unnamed


def _options(unit: Unit) -> Iterator[Weighted]:
    return ((option, 1.0) for option in unit.options())


def enumerate_space(space: "SearchSpace") -> Iterator[dict[str, Value]]:
    """Return every configuration of a finite space, one after the other, in a fixed order.

    Raises:
        SpaceError: a parameter is continuous.
    """
    continuous = _continuous(space)
    if continuous:
        raise SpaceError(
            f"A space must be countable to be listed, but these are continuous: {', '.join(continuous)}.",
            "Give them a step.",
        )
    return (space.ordered(values) for values, _ in _walk(space, space.units, _options))
