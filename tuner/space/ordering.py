"""Keeping an Increasing: bounds are narrowed through the chain, then every choice within them completes."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from tuner.errors import SpaceError
from tuner.experiment import Value
from tuner.space.conditions import Key
from tuner.space.constraints import Increasing
from tuner.space.groups import Domain, Group
from tuner.space.params import NumericParam
from tuner.space.values import exact

if TYPE_CHECKING:
    import numpy as np

__all__ = ["IncreasingGroup"]

_GAP = 1e-3
"""What repair sets apart, as a share of the narrower range, where neighbours would come out equal."""
_MAX_COUNTED = 10**5
_MAX_CHOSEN = 2**53


class IncreasingGroup(Group):
    """Members that strictly increase.

    Draws follow each member's own scale, conditioned on the order: by sorting where all members are alike;
    else by a plain draw that happens to increase; else by a chain of draws of one member between its
    neighbours, each of which leaves that distribution unchanged.

    Attributes:
        alike: whether all members have the same bounds, step and scale.
        highs: the most that each member can be with all later ones still to be placed.

    Raises:
        SpaceError: the bounds and steps allow no increasing choice.
    """

    constraint: Increasing

    def __init__(self, constraint: Increasing, params: Sequence[NumericParam]) -> None:
        super().__init__(params)
        self.constraint = constraint
        self._lows, self.highs = self._narrowed()
        first = self.params[0]
        self.alike = all(
            (p.kind, p.low, p.high, p.step, p.log)
            == (first.kind, first.low, first.high, first.step, first.log)
            for p in self.params
        )
        # How far repair keeps each member above the first, where there is room.
        self._shifts = [0.0, *accumulate(_gap(one, other) for one, other in pairwise(self.params))]

    def _narrowed(self) -> tuple[list[float], list[float]]:
        """Return the least and most each member can be with all others still to be placed."""
        lows = [self.params[0].low]
        for param in self.params[1:]:
            lows.append(param.above(lows[-1]))
        highs = [self.params[-1].high]
        for param in reversed(self.params[:-1]):
            highs.append(param.below(highs[-1]))
        highs.reverse()
        if any(low > param.high for low, param in zip(lows, self.params, strict=True)):
            bounds = ", ".join(f"{p.name} in [{p.low!r}, {p.high!r}]" for p in self.params)
            raise SpaceError(
                f"The order {self.constraint} can never hold with {bounds}.",
                "Widen the bounds or refine the steps.",
            )
        return lows, highs

    def with_params(self, params: Sequence[NumericParam]) -> "IncreasingGroup":
        """Build the same order over these."""
        by_name = {param.name: param for param in params}
        return IncreasingGroup(self.constraint, [by_name[name] for name in self.constraint.names])

    def draw(self, rng: "np.random.Generator") -> list[float]:
        """Draw by sorting where that is exact, else by `_chain`."""
        n, first = len(self.params), self.params[0]
        n_values = first.n_values or 1
        if self.alike and first.step is not None and not first.log and n_values <= _MAX_CHOSEN:
            indices = rng.choice(n_values, n, replace=False)
            return [first.at(index) for index in sorted(indices.tolist())]
        values = [param.from_unit(u) for param, u in zip(self.params, rng.random(n).tolist(), strict=True)]
        if self.alike:
            values.sort()
        return values if _increases(values) else self._chain(rng)

    def _chain(self, rng: "np.random.Generator") -> list[float]:
        """Place one member after the other, then draw each anew between its neighbours, many times over."""
        n = len(self.params)
        values: list[float] = []
        for param, high, u in zip(self.params, self.highs, rng.random(n).tolist(), strict=True):
            values.append(param.from_unit(u, param.above(values[-1]) if values else param.low, high))
        for sweep in rng.random((2 * n + 6, n)).tolist():
            for i, (param, u) in enumerate(zip(self.params, sweep, strict=True)):
                low = param.above(values[i - 1]) if i > 0 else param.low
                high = param.below(values[i + 1]) if i < n - 1 else param.high
                values[i] = param.from_unit(u, low, high)
        return values

    def nearest(self, wanted: Sequence[float]) -> list[float]:
        """Project by isotonic regression; members of different steps are then mended upwards."""
        clipped = [param.clip(value) for param, value in zip(self.params, wanted, strict=True)]
        if _increases(clipped):
            return clipped
        # With a gap taken from each, strictly increasing becomes non-decreasing: bounded isotonic regression.
        # Snapping to steps that differ may undo the order, which `above` mends.
        shifted = list(zip(self.params, wanted, self._shifts, strict=True))
        lows = list(accumulate((param.low - shift for param, _, shift in shifted), max))
        highs = list(accumulate((param.high - shift for param, _, shift in reversed(shifted)), min))[::-1]
        level = _isotonic([value - shift for _, value, shift in shifted], lows, highs)
        values: list[float] = []
        for (param, _, shift), most, height in zip(shifted, self.highs, level, strict=True):
            low = param.above(values[-1]) if values else param.low
            values.append(min(max(param.shortened(param.clip(height + shift)), low), most))
        return values

    def domain(self, prefix: Sequence[float]) -> Domain:
        """Return what lies above the last of `prefix` and leaves room for the later members."""
        param, high = self.params[len(prefix)], self.highs[len(prefix)]
        low = param.above(prefix[-1]) if prefix else param.low
        if param.n_values is None:
            return Domain(None, low, high)
        return Domain(range(param.index_of(low), param.index_of(high) + 1), low, high)

    def count(self) -> float:
        """Count by dynamic programming over the value of the last member placed."""
        if any(param.n_values is None or param.n_values > _MAX_COUNTED for param in self.params):
            return math.inf
        ways = [(-math.inf, 1.0)]
        for param in self.params:
            ways = _placed(param, ways)
        return math.fsum(count for _, count in ways)

    def tally(self, named: Mapping[str, Collection[Key]]) -> Iterator[tuple[dict[str, Value], float]]:
        """Count as `count` does, apart for each named value of a member and for all others of it."""
        if self.count() == math.inf:
            return iter([({}, math.inf)])
        found: list[tuple[dict[str, Value], list[tuple[float, float]]]] = [({}, [(-math.inf, 1.0)])]
        for param in self.params:
            numbers = {value for _, value in named[param.name]}
            further = []
            for values, before in found:
                placed = _placed(param, before)
                further.append((values, [one for one in placed if one[0] not in numbers]))
                further += [({**values, param.name: one[0]}, [one]) for one in placed if one[0] in numbers]
            found = [(values, ways) for values, ways in further if ways]
        return ((values, math.fsum(count for _, count in ways)) for values, ways in found)

    def problem(self, values: Mapping[str, float]) -> str:
        """Name the first two neighbours that do not increase."""
        for one, other in pairwise(self.constraint.names):
            if not values[one] < values[other]:
                got = f"{one} = {values[one]!r} and {other} = {values[other]!r}"
                return f"{self.constraint} must hold, but got {got}."
        return ""


def _gap(one: NumericParam, other: NumericParam) -> float:
    """Return how far repair keeps two neighbours apart: a step where they share a lattice."""
    if one.step is not None and one.step == other.step:
        offset = (exact(other.low) - exact(one.low)) / exact(one.step)
        if offset.denominator == 1:
            return float(one.step)
    return _GAP * min((p.high - p.low for p in (one, other) if p.high > p.low), default=0.0)


def _increases(values: Sequence[float]) -> bool:
    return all(one < other for one, other in pairwise(values))


def _isotonic(values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> list[float]:
    """Return the non-decreasing sequence within its bounds that is nearest to `values`.

    Adjacent violators are pooled, each pool at the nearest to its mean that its bounds allow (U. Stromberg,
    "An algorithm for isotonic regression with arbitrary convex distance function", Computational Statistics
    & Data Analysis 11, 1991). The bounds must not decrease, so that the first high and the last low are a
    pool's own.
    """
    pools: list[tuple[float, int, float, float]] = []  # mean, size, low, high
    for value, low, high in zip(values, lows, highs, strict=True):
        pool = (float(value), 1, low, high)
        while pools and _height(pools[-1]) > _height(pool):
            mean, size, _, high_before = pools.pop()
            n = size + pool[1]
            pool = ((mean * size + pool[0] * pool[1]) / n, n, pool[2], high_before)
        pools.append(pool)
    return [_height(pool) for pool in pools for _ in range(pool[1])]


def _height(pool: tuple[float, int, float, float]) -> float:
    mean, _, low, high = pool
    return min(max(mean, low), high)


def _placed(param: NumericParam, ways: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return (value, ways to end there) for one member more, from the same for the members before it."""
    placed, below, position = [], 0.0, 0
    for index in range(param.n_values or 0):
        value = param.at(index)
        while position < len(ways) and ways[position][0] < value:
            below += ways[position][1]
            position += 1
        if below:
            placed.append((value, below))
    return placed
