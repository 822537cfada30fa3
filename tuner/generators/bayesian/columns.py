"""One parameter in many rows: numbers that say where on its scale it stands, or which choice it holds.

A number's place is in [0, 1], as in the encoding of the space; a category's is the index of its choice.
"""

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from tuner.experiment import Value
from tuner.generators.bayesian.surrogate import Array
from tuner.space import CategoricalParam, Param
from tuner.space.params import NumericParam
from tuner.space.values import typed

__all__ = [
    "SAME",
    "config_value",
    "drawn",
    "moved",
    "on_scale",
    "places_of",
    "reflected",
    "row_values",
    "settled",
]

SAME = 1e-12
"""Places that are closer than this are the same."""


def row_values(param: Param, values: Sequence[Value]) -> Array:
    """The places of values, (n,)."""
    if isinstance(param, CategoricalParam):
        return np.array([float(param.index_by_key[typed(value)]) for value in values])
    return np.asarray(param.encode(values)[:, 0])


def config_value(param: Param, place: float) -> Value:
    """The value at a place."""
    if isinstance(param, CategoricalParam):
        return param.choices[int(place)]
    return param.shortened(param.clip(on_scale(param, np.array([place]))[0]))


def on_scale(param: NumericParam, places: Array) -> Array:
    """The values at these places, steps not yet kept."""
    low, high = float(param.low), float(param.high)
    if param.log:
        return _between(low, np.exp(math.log(low) + places * (math.log(high) - math.log(low))), high)
    return _between(low, low + places * (high - low), high)


def places_of(param: NumericParam, values: Array) -> Array:
    """The places of values within the bounds."""
    return np.asarray(param.encode(cast("Sequence[float]", values)))[:, 0]


def drawn(param: Param, u: Array) -> Array:
    """Places for numbers uniform in [0, 1), as `Param.from_unit` draws."""
    if isinstance(param, CategoricalParam):
        return np.minimum(np.floor(u * len(param.choices)), len(param.choices) - 1)
    if param.n_values is None or param.step is None:
        return u if param.n_values is None else np.zeros(len(u))
    if param.log:
        start, end = param.log_range(param.low, param.high)
        return _snapped(param, np.exp(start + u * (end - start)))
    index = np.minimum(np.floor(u * param.n_values), param.n_values - 1)
    return _snapped(param, float(param.low) + index * float(param.step))


def reflected(places: Array) -> Array:
    """Places beyond the bounds reflected at them, and within them in any case."""
    there = np.abs(places)
    return _between(0.0, np.minimum(there, 2 - there), 1.0)


def moved(param: NumericParam, at: Array, by: Array) -> Array:
    """Places `by` further, reflected at the bounds; by one value at least where values have steps."""
    there = reflected(at + by)
    if param.n_values is None or param.n_values == 1 or param.step is None:
        return there if param.n_values is None else at
    values, step = on_scale(param, at), float(param.step)
    reached = _stepped(param, on_scale(param, there))
    up = np.where(by > 0, step, -step)
    up = np.where((values + up > param.high) | (values + up < param.low), -up, up)
    stuck = np.abs(reached - values) < step / 2
    return places_of(param, np.where(stuck, _stepped(param, values + up), reached))


def settled(param: NumericParam, places: Array) -> Array:
    """The nearest places that the steps allow."""
    return places if param.n_values is None else _snapped(param, on_scale(param, places))


def _snapped(param: NumericParam, values: Array) -> Array:
    """The places of the nearest values that the steps allow."""
    return places_of(param, _stepped(param, values))


def _stepped(param: NumericParam, values: Array) -> Array:
    """The nearest values that the steps allow."""
    n_values = param.n_values
    if n_values is None or param.step is None:
        return values
    low, step = float(param.low), float(param.step)
    return np.asarray(low + _between(0.0, np.floor((values - low) / step + 0.5), n_values - 1.0) * step)


def _between(low: float, values: Array, high: float) -> Array:
    """As `np.clip`, which for hundreds of values takes three times as long."""
    return np.asarray(np.minimum(np.maximum(values, low), high))
