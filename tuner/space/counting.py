"""Counting and listing the configurations of a finite space."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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

MAX_SIZE = 10**6
"""Spaces of more configurations than this are as good as infinite: `size` says None."""

_MAX_TOLD_APART = 20_000
"""So many combinations of what forbids and conditions name are told apart, and no more."""


def size_of(space: "SearchSpace") -> int | None:
    """Return the number of configurations; None with a continuous parameter, or for more than MAX_SIZE.

    None as well where that is too entangled to be counted. One unit is settled after the other, and
    configurations that forbids and conditions of later units cannot tell apart are counted together.
    """
    if _continuous(space):
        return None
    named = _named_keys(space)
    last_use = _last_uses(space)
    alike: dict[Any, Weighted] = {(): ({}, 1.0)}
    for place, unit in enumerate(space.units):
        if (options := _named_options(named, unit)) is None:
            return None
        found: dict[Any, Weighted] = {}
        for values, n in alike.values():
            for option, count in options if unit.is_active(values) else [({}, 1.0)]:
                reached = {**values, **option}
                if space.forbids is not None and space.forbids.violated(reached):
                    continue
                kept = {name: value for name, value in reached.items() if last_use.get(name, -1) > place}
                key = tuple((name, typed(value)) for name, value in kept.items())
                found[key] = (kept, found.get(key, (kept, 0.0))[1] + n * count)
        if len(found) > _MAX_TOLD_APART:
            return None
        alike = found
    total = sum(n for _, n in alike.values())
    return round(total) if total <= MAX_SIZE else None


def _last_uses(space: "SearchSpace") -> dict[str, int]:
    """Of each name, the place of the last unit before which its value must be known."""
    places = {name: place for place, unit in enumerate(space.units) for name in unit.names}
    found: dict[str, int] = {}
    for name, condition in space.conditions.items():
        for parent, _ in condition.parents:
            found[parent] = max(found.get(parent, -1), places[name])
    for forbid in space.forbids.forbids if space.forbids is not None else ():
        last = max(places[name] for name in forbid.names)
        for name in forbid.names:
            found[name] = max(found.get(name, -1), last)
    return found


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


def _walk(space: "SearchSpace") -> Iterator[dict[str, Value]]:
    """Yield every allowed choice for all units, in a fixed order."""
    levels: list[Iterator[tuple[int, dict[str, Value]]]] = [iter([(0, {})])]
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
            continue
        place, values = found
        if space.forbids is not None and space.forbids.violated(values):
            continue
        while place < len(space.units) and not space.units[place].is_active(values):
            place += 1
        if place == len(space.units):
            yield values
        else:
            levels.append(_extended(place, values, space.units[place]))


def _extended(place: int, values: Mapping[str, Value], unit: Unit) -> Iterator[tuple[int, dict[str, Value]]]:
    return ((place + 1, {**values, **option}) for option in unit.options())


def _named_options(named: Mapping[str, set[Key]], unit: Unit) -> Sequence[Weighted] | None:
    """The choices of a unit by what of them is named, all others as one; None where they are too many."""
    if named.keys().isdisjoint(unit.names):
        return [({}, unit.count())]
    keys = {name: named.get(name, set()) for name in unit.names}
    if math.prod(len(each) + 1.0 for each in keys.values()) > _MAX_TOLD_APART:
        few = unit.count() <= _MAX_TOLD_APART  # of a group: its sum or order leaves that many
        return [(option, 1.0) for option in unit.options()] if few else None
    if unit.group is not None:
        return list(unit.group.tally(keys))
    name = unit.names[0]
    found: list[Weighted] = [({name: value}, 1.0) for _, value in keys[name]]
    n_unnamed = unit.count() - len(found)
    return [*found, ({}, n_unnamed)] if n_unnamed else found


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
    return (space.ordered(values) for values in _walk(space))
