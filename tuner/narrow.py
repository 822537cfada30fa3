"""A space narrowed around the best of an earlier search of it: what a later stage searches."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tuner.errors import UsageError
from tuner.experiment import Params, Value
from tuner.space import (
    CategoricalParam,
    Constraint,
    FloatParam,
    Forbid,
    IntParam,
    Param,
    SearchSpace,
)
from tuner.space.values import typed

__all__ = ["narrowed"]


def narrowed(
    space: SearchSpace, best: Sequence[Params], *, last: SearchSpace | None = None, share: float = 0.5
) -> SearchSpace:
    """The part of a space around the best configurations of a search of it, or of a part of it.

    A number keeps `share` of the range that it had in that search, on its own scale, around the middle of the
    best; the range is wider where the best need it, and moved where it would leave the bounds. Of choices
    those remain that are among the best. A parameter that none of the best has keeps its range. Whatever
    can no longer become active is left out, and so are constraints of which nothing is left. The defaults are
    the best configuration, completed and repaired where it lacks something: so the result is never empty.

    Args:
        space: the whole; the result lies within it.
        best: valid in `last`, the best one first.
        last: what was searched; by default `space` itself. What only `space` has keeps its range.
        share: in (0, 1].

    Raises:
        UsageError: `share` is not in (0, 1], or there is no best configuration.
    """
    if not 0 < share <= 1:
        raise UsageError(f"`0 < share <= 1` must hold for a narrowed space, but got share={share!r}.")
    if not best:
        raise UsageError("A space is narrowed around the best configurations, but there are none.")
    every = [_known(space, each) for each in best]
    filled = {name: every[0].get(name, param.default) for name, param in space.params.items()}
    first = space.repair(space.active(filled))
    params: dict[str, Param] = {}
    for name in space.order:
        param = space.params[name]
        when = _still_possible(param, params)
        if when is None:
            continue
        values = [each[name] for each in every if name in each and not param.check(each[name])[1]]
        ours = _around(param, values, None if last is None else last.params.get(name), share)
        params[name] = _with(ours, when, first.get(name))
    constraints = [_settled(each, params) for each in space.constraints]
    in_order = [params[name] for name in space.names if name in params]
    return SearchSpace(in_order, [each for each in constraints if each is not None])


def _known(space: SearchSpace, config: Params) -> dict[str, Value]:
    """What of a configuration the space has, as far as it is active there."""
    return space.active({name: value for name, value in config.items() if name in space.params})


def _still_possible(param: Param, params: Mapping[str, Param]) -> dict[str, tuple[Value, ...]] | None:
    """The `when` of a parameter as far as its parents can still hold; None where they cannot."""
    left: dict[str, tuple[Value, ...]] = {}
    for parent, values in (param.when or {}).items():
        if parent not in params:
            return None
        left[parent] = tuple(value for value in values if not params[parent].check(value)[1])
        if not left[parent]:
            return None
    return left


def _around(param: Param, values: Sequence[Any], last: Param | None, share: float) -> Param:
    if not values or share == 1:
        return param
    if isinstance(param, CategoricalParam):
        among = {typed(value) for value in values}
        kept = [choice for choice in param.choices if typed(choice) in among]
        return replace(param, choices=kept, default=kept[0])
    reference = last if isinstance(last, type(param)) else param
    assert isinstance(reference, FloatParam | IntParam)
    low, high = _interval(reference, values, share)
    low, high = max(_brief(low), float(param.low)), min(_brief(high), float(param.high))
    if param.n_values is None:
        return _renewed(param, min(low, *values), max(high, *values))
    places = [param.index_of(value) for value in (low, *values, high)]
    return _renewed(param, param.at(min(places)), param.at(max(places)))


def _renewed(param: FloatParam | IntParam, low: Any, high: Any) -> Param:
    """The same parameter between other bounds; its default is set later."""
    return replace(param, low=low, high=high, default=param.default if low <= param.default <= high else None)


def _interval(param: FloatParam | IntParam, values: Sequence[float], share: float) -> tuple[float, float]:
    """The bounds around the values, on the scale of the parameter that was searched."""
    to, back = (math.log, math.exp) if param.log else (float, float)
    least, most = to(param.low), to(param.high)
    first, final = to(max(min(values), param.low)), to(min(max(values), param.high))
    width = max(share * (most - least), final - first)
    low = min(max((first + final - width) / 2, least), max(most - width, least))
    return back(low), back(min(low + width, most))


def _brief(bound: float) -> float:
    """A bound without digits that nobody would write."""
    return float(f"{bound:.9g}")


def _with(param: Param, when: Mapping[str, tuple[Value, ...]], default: Value) -> Param:
    param = replace(param, when=dict(when) or None)
    return param if default is None or param.check(default)[1] else replace(param, default=default)


def _settled(constraint: Constraint, params: Mapping[str, Param]) -> Constraint | None:
    """A constraint as far as it can still be broken; None where it cannot."""
    if not isinstance(constraint, Forbid):
        return constraint if all(name in params for name in constraint.names) else None
    left: dict[str, list[Value]] = {}
    for name, values in constraint.values.items():
        if name not in params:
            return None
        left[name] = [value for value in values if not params[name].check(value)[1]]
        if not left[name]:
            return None
    return Forbid(left)
