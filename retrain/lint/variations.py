"""Configurations that differ from another in one parameter, as far as conditions and constraints let them."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from tuner.experiment import Params, Value
from tuner.space import CategoricalParam, SearchSpace

__all__ = ["active_in", "others"]

_N_CHOICES = 3
_N_DRAWS = 200


def active_in(space: SearchSpace, name: str) -> Params | None:
    """The defaults or, where they lack this parameter, what is near them and has it, if found."""
    base = space.defaults()
    if name in base:
        return base
    wanted = space.repair({**base, **_parents(space, name)})
    if name in wanted:
        return wanted
    rng = np.random.default_rng(0)
    return next((drawn for _ in range(_N_DRAWS) if name in (drawn := space.sample(rng))), None)


def _parents(space: SearchSpace, name: str) -> dict[str, Value]:
    """Values of other parameters with which this one is active."""
    found: dict[str, Value] = {}
    for parent, values in (space.params[name].when or {}).items():
        found |= {**_parents(space, parent), parent: next(iter(values))}
    return found


def others(space: SearchSpace, base: Params, name: str) -> Iterator[Params]:
    """Up to three configurations in which this parameter has another value: first the one farthest away.

    Where a constraint ties others to it, they move along.
    """
    seen = [base[name]]
    for value in _values(space, name, base):
        other = _with(space, base, name, value)
        if other.get(name, base[name]) not in seen:
            seen.append(other[name])
            yield other


def _values(space: SearchSpace, name: str, base: Params) -> Iterable[Value]:
    param = space.params[name]
    if isinstance(param, CategoricalParam):
        return [choice for choice in param.choices if choice != base[name]][:_N_CHOICES]
    own = param.to_unit(float(str(base[name])))
    ends: list[Value] = [param.high, param.low] if own <= 0.5 else [param.low, param.high]
    return [*ends, param.from_unit(0.25 if own > 0.5 else 0.75)]


def _with(space: SearchSpace, base: Params, name: str, value: Value) -> Mapping[str, Value]:
    wanted = {**base, name: value}
    return wanted if space.contains(wanted) else space.repair(wanted)
