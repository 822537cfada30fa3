"""scipy's frozen distributions, as `RandomizedSearchCV` takes them.

A search needs bounds and a scale, where a distribution has a density:

- One that is bounded on both sides (uniform, loguniform, randint, truncnorm, beta ...) is searched between
  its bounds; of `randint`, which leaves its upper one out, to the last number that is drawn.
- One that is not (norm, expon, poisson ...) is searched over its central 99 %, between the quantiles 0.005
  and 0.995.
- The scale is logarithmic where the median lies nearer to the middle of that scale than to the middle of the
  linear one: for loguniform, lognorm and expon, but not for uniform, randint and norm.
"""

import math
from typing import Any

from tuner.errors import SpaceError
from tuner.space.params import CategoricalParam, FloatParam, IntParam, Param
from tuner.space.values import brief, plain

__all__ = ["OUTSIDE", "param_of", "recognises"]

OUTSIDE = 0.005
"""What is left out at either end of a distribution without bounds."""

_CLEARLY = 1e-6
"""Rounding alone does not choose a scale."""


def recognises(spec: object) -> bool:
    """Whether it is a distribution of scipy's, or one that behaves like those."""
    return all(hasattr(spec, method) for method in ("rvs", "support", "ppf"))


def param_of(name: str, spec: Any) -> Param:
    """Return the parameter to search instead of drawing from a distribution.

    Raises:
        SpaceError: the distribution lacks its parameters, or its range is no range of numbers.
    """
    listed = getattr(getattr(spec, "dist", spec), "xk", None)
    if listed is not None:  # rv_discrete(values=...), which need not be neighbours
        return CategoricalParam(name, [_number(value) for value in listed])
    low, high = _ends(name, spec)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SpaceError(
            f"The distribution of {name!r} must have a range, but got {low!r} to {high!r}.",
            "Give all of its parameters, such as scipy.stats.loguniform(0.01, 0.3).",
        )
    log = _is_rather_log(low, _median(spec), high)
    if hasattr(spec, "pmf"):
        return IntParam(name, low, high, log=log)
    return FloatParam(name, low, high, log=log)


def _ends(name: str, spec: Any) -> tuple[float, float]:
    try:
        low, high = map(_number, spec.support())
        if not (math.isfinite(low) and math.isfinite(high)):
            low, high = _number(spec.ppf(OUTSIDE)), _number(spec.ppf(1 - OUTSIDE))
    except (TypeError, ValueError) as error:  # a method of its class; or several distributions in one
        raise SpaceError(
            f"The distribution of {name!r} must be given with its parameters, but got {brief(spec)}.",
            "Call it, such as scipy.stats.loguniform(0.01, 0.3).",
        ) from error
    return low, high


def _median(spec: Any) -> float:
    """The middle of all medians: of an even number of values, any between the middle two is one."""
    return (_number(spec.ppf(0.5)) + _number(spec.ppf(0.5 + _CLEARLY))) / 2


def _number(value: Any) -> float:
    """The plain number, also of an array without dimensions."""
    number: float = plain(value.item() if hasattr(value, "item") else value)
    return number


def _is_rather_log(low: float, median: float, high: float) -> bool:
    if not 0 < low < median < high:
        return False
    linear = (median - low) / (high - low)
    log = math.log(median / low) / math.log(high / low)
    return abs(log - 0.5) < abs(linear - 0.5) - _CLEARLY
