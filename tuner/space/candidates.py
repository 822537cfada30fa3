"""The values worth trying for one parameter to leave a forbidden combination, nearest to the wish first."""

import math
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from tuner.experiment import Value
from tuner.space.conditions import Key
from tuner.space.groups import Domain, Group
from tuner.space.params import CategoricalParam, NumericParam, Param
from tuner.space.values import typed

__all__ = ["candidates", "near"]


def near(one: Value, other: Value) -> bool:
    """Whether two values of one parameter are the same but for rounding."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-15)
    return typed(one) == typed(other)


def candidates(
    param: Param, group: Group | None, values: Mapping[str, Any], wanted: Any, named: Collection[Key]
) -> Iterator[Value]:
    """Yield values of `param`, the wanted one first where it can be had.

    Args:
        param: the parameter.
        group: its Sum or Increasing, or None.
        values: what is settled so far, the earlier members of its group included.
        wanted: a value of the parameter.
        named: the values of the parameter, or of all members of its group, that forbids and conditions
            name; all others have the same consequences.
    """
    if isinstance(param, CategoricalParam):
        start = param.index_by_key[typed(wanted)]
        return iter((*param.choices[start:], *param.choices[:start]))
    if group is None:
        return _of_free(param, wanted, named)
    domain = group.domain([values[name] for name in group.names[: group.names.index(param.name)]])
    if domain.indices is not None:
        return (param.at(index) for index in _outward(domain.indices, param.index_of(wanted)))
    # What is forbidden among continuous members are single points: each named value rules out one point of
    # this member, itself or through what is left for a later one. Some more points than that always
    # suffice.
    return _of_interval(domain, wanted, len(named) + len(group.names))


def _of_free(param: NumericParam, wanted: Any, named: Collection[Key]) -> Iterator[Value]:
    numbers: list[Any] = [value for _, value in named]
    numbers += islice(
        (value for value in _by_distance(param, wanted, len(named)) if typed(value) not in named), 1
    )
    return iter(sorted(numbers, key=lambda number: abs(number - wanted)))


def _by_distance(param: NumericParam, wanted: Any, n_more: int) -> Iterator[Value]:
    """Yield values by their distance from `wanted`; of a continuous parameter at least 1000 + n_more."""
    if param.n_values is not None:
        for index in _outward(range(param.n_values), param.index_of(wanted)):
            yield param.at(index)
        return
    yield wanted
    at = float(param.encode([wanted])[0, 0])
    n = 1000 + n_more
    for step in range(1, n + 1):
        for u in (at - step / n, at + step / n):
            if 0 <= u <= 1:
                yield param.from_unit(u)


def _outward(indices: Sequence[int], start: int) -> Iterator[int]:
    """Yield ascending indices by their distance from `start`, the lower first of two."""
    if isinstance(indices, range):  # one of all whole numbers is longer than `len` can say
        n = indices.stop - indices.start
        up = min(max(start - indices.start, 0), n)
    else:
        n, up = len(indices), bisect_left(indices, start)
    down = up - 1
    while down >= 0 or up < n:
        if up == n or (down >= 0 and start - indices[down] <= indices[up] - start):
            yield indices[down]
            down -= 1
        else:
            yield indices[up]
            up += 1


def _of_interval(domain: Domain, wanted: float, n: int) -> Iterator[float]:
    """Yield up to n + 1 different points of an interval, the one nearest to `wanted` first."""
    start = min(max(wanted, domain.low), domain.high)
    yield start
    width = (domain.high - domain.low) / (2 * n + 1)
    points = (start + sign * width * step for step in range(1, 2 * n + 1) for sign in (-1, 1))
    yield from islice((point for point in points if domain.low < point < domain.high), n)
