"""Keeping an Increasing: bounds are narrowed through the chain first, then every choice within them completes."""

import math
from collections.abc import Sequence

import numpy as np

from tuner.errors import SpaceError
from tuner.space.constraints import Increasing
from tuner.space.groups import Domain, Group
from tuner.space.params import NumericParam

__all__ = ["IncreasingGroup"]

_GAP = 1e-3
"""Continuous neighbours that repair would have to leave equal are set apart by this share of the narrower range."""


class IncreasingGroup(Group):
    """Members that strictly increase.

    Draws follow each member's own scale, conditioned on the order: by sorting where all members are alike, else
    directly or by a chain of single-member draws between their neighbours, which leaves that distribution
    unchanged.

    Raises:
        SpaceError: the bounds and steps allow no increasing choice.
    """

    def __init__(self, constraint: Increasing, params: Sequence[NumericParam]) -> None:
        super().__init__(params)
        self.constraint: Increasing = constraint
        self.lows, self.highs = self._narrowed()
        first = self.params[0]
        self._alike = all(
            (p.kind, p.low, p.high, p.step, p.log)
            == (first.kind, first.low, first.high, first.step, first.log)
            for p in self.params
        )
        self._gaps = [self._gap(a, b) for a, b in zip(self.params, self.params[1:], strict=False)]
        if self._too_tight():
            self._gaps = [0.0] * len(self._gaps)

    def _narrowed(self) -> tuple[list[float], list[float]]:
        """The least and most each member can be with all others still to be placed."""
        lows: list[float] = []
        for param in self.params:
            lows.append(param.low if not lows else max(param.low, param.above(lows[-1])))
        highs: list[float] = []
        for param in reversed(self.params):
            highs.append(param.high if not highs else min(param.high, param.below(highs[-1])))
        highs.reverse()
        if any(low > high for low, high in zip(lows, highs, strict=True)):
            bounds = ", ".join(f"{p.name} in [{p.low!r}, {p.high!r}]" for p in self.params)
            raise SpaceError(
                f"The order {self.constraint} can never hold with {bounds}.",
                "Widen the bounds or refine the steps.",
            )
        return lows, highs

    @staticmethod
    def _gap(one: NumericParam, other: NumericParam) -> float:
        if one.step is not None and one.step == other.step:
            return float(one.step)
        widths = [p.high - p.low for p in (one, other) if p.high > p.low]
        return _GAP * min(widths, default=0.0)

    def _too_tight(self) -> bool:
        low = -math.inf
        for param, gap in zip(self.params, [0.0, *self._gaps], strict=True):
            low = max(param.low, low + gap)
            if low > param.high:
                return True
        return False

    def draw(self, rng: np.random.Generator) -> list[float]:
        n, first = len(self.params), self.params[0]
        if self._alike and first.step is not None and not first.log:
            indices = rng.choice(first.n_values or 1, n, replace=False)
            return [first.at(index) for index in sorted(indices.tolist())]
        values = [param.from_unit(u) for param, u in zip(self.params, rng.random(n).tolist(), strict=True)]
        if self._alike:
            values.sort()
        return values if _increases(values) else self._chain(rng)

    def _chain(self, rng: np.random.Generator) -> list[float]:
        """Place the members one after the other, then draw each anew between its neighbours, many times over."""
        n = len(self.params)
        values: list[float] = []
        for param, high, u in zip(self.params, self.highs, rng.random(n).tolist(), strict=True):
            least = self.lows[len(values)] if not values else max(param.low, param.above(values[-1]))
            values.append(param.from_unit(u, least, high))
        for u_row in rng.random((2 * n + 6, n)).tolist():
            for i, (param, u) in enumerate(zip(self.params, u_row, strict=True)):
                least = param.low if i == 0 else max(param.low, param.above(values[i - 1]))
                most = param.high if i == n - 1 else min(param.high, param.below(values[i + 1]))
                values[i] = param.from_unit(u, least, most)
        return values

    def nearest(self, wanted: Sequence[float]) -> list[float]:
        # With a gap subtracted from each, strictly increasing becomes non-decreasing: isotonic regression, whose
        # clip into rising bounds is the projection (Barlow et al., "Statistical Inference under Order
        # Restrictions", 1972). Snapping to steps may undo the order by one step, which the last pass mends.
        shifts = [0.0]
        for gap in self._gaps:
            shifts.append(shifts[-1] + gap)
        clipped = [param.clip(value) for param, value in zip(self.params, wanted, strict=True)]
        if _increases(clipped):
            return clipped
        level = _isotonic([value - shift for value, shift in zip(wanted, shifts, strict=True)])
        lows, highs = self._gapped_bounds()
        values: list[float] = []
        for i, param in enumerate(self.params):
            value = param.clip(min(max(level[i] + shifts[i], lows[i]), highs[i]))
            least = self.lows[i] if not values else max(self.lows[i], param.above(values[-1]))
            values.append(min(max(value, least), self.highs[i]))
        return values

    def _gapped_bounds(self) -> tuple[list[float], list[float]]:
        lows, highs = list(self.lows), list(self.highs)
        for i, gap in enumerate(self._gaps):
            lows[i + 1] = max(lows[i + 1], lows[i] + gap)
        for i in reversed(range(len(self._gaps))):
            highs[i] = min(highs[i], highs[i + 1] - self._gaps[i])
        return lows, highs

    def domain(self, prefix: Sequence[float]) -> Domain:
        member = len(prefix)
        param = self.params[member]
        low = self.lows[member] if not prefix else max(self.lows[member], param.above(prefix[-1]))
        high = self.highs[member]
        if param.n_values is None:
            return Domain(None, low, high)
        return Domain(range(param.index_of(low), param.index_of(high) + 1), low, high)

    def count(self) -> float:
        if any(param.n_values is None for param in self.params):
            return math.inf
        ways = {-math.inf: 1.0}  # ways to place the members so far, by the value of the last
        for param in self.params:
            if (param.n_values or 1) > 10**5:
                return math.inf
            ways = self._placed(param, ways)
        return math.fsum(ways.values())

    @staticmethod
    def _placed(param: NumericParam, ways: dict[float, float]) -> dict[float, float]:
        ends, placed, below = sorted(ways), {}, 0.0
        position = 0
        for index in range(param.n_values or 1):
            value = param.at(index)
            while position < len(ends) and (
                ends[position] == -math.inf or param.above(ends[position]) <= value
            ):
                below += ways[ends[position]]
                position += 1
            if below:
                placed[value] = below
        return placed

    def problem(self, values: dict[str, float]) -> str:
        names = self.constraint.names
        for name, after in zip(names, names[1:], strict=False):
            if not values[name] < values[after]:
                return f"{self.constraint} must hold, but got {name} = {values[name]!r} and {after} = {values[after]!r}."
        return ""


def _increases(values: Sequence[float]) -> bool:
    return all(a < b for a, b in zip(values, values[1:], strict=False))


def _isotonic(values: Sequence[float]) -> list[float]:
    """Return the non-decreasing sequence nearest to `values`: pool adjacent violators."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    return [mean for mean, size in blocks for _ in range(size)]
