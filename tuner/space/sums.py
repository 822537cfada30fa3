"""Keeping a Sum: stepped members on their lattice first, continuous ones on the capped simplex that remains."""

import math
from collections.abc import Collection, Sequence
from fractions import Fraction

import numpy as np

from tuner.errors import SpaceError
from tuner.space import simplex
from tuner.space.constraints import Sum
from tuner.space.groups import Domain, Group
from tuner.space.lattice import MAX_UNITS, CountedLattice, FineLattice, Lattice
from tuner.space.params import NumericParam
from tuner.space.values import exact

__all__ = ["SumGroup"]

_TOLERANCE = 1e-9


def _common_unit(values: Sequence[Fraction]) -> Fraction:
    """Return the largest number of which all values are whole multiples."""
    denominator = math.lcm(*(value.denominator for value in values))
    return Fraction(math.gcd(*(int(value * denominator) for value in values)), denominator)


class SumGroup(Group):
    """Members that add up to a total.

    Draws are uniform over the feasible set where all members are continuous (see `simplex.draw`) or all stepped
    (see `lattice`). Where both kinds meet, the stepped ones are uniform over what can be completed and the
    continuous ones uniform given those. Log scales play no part in it.

    Args:
        constraint: the declaration.
        params: its members.
        settled_first: names to be settled before the others of their kind.

    Raises:
        SpaceError: no choice within the bounds and steps meets the total.
    """

    def __init__(
        self, constraint: Sum, params: Sequence[NumericParam], settled_first: Collection[str] = ()
    ) -> None:
        self.constraint: Sum = constraint
        # Members that forbids name are settled first: the others can then always complete the sum.
        params = sorted(params, key=lambda param: param.name not in settled_first)
        stepped = [param for param in params if param.n_values is not None]
        self._free = [param for param in params if param.n_values is None]
        super().__init__([*stepped, *self._free])
        self._stepped = stepped
        self._check_bounds()
        self._caps = [param.high - param.low for param in self._free]
        self._base = math.fsum(param.low for param in self._free)
        self._unit, self._weights, self._lattice = self._build_lattice()

    def _check_bounds(self) -> None:
        least = sum(exact(param.low) for param in self.params)
        most = sum(exact(param.high) for param in self.params)
        if not least <= exact(self.constraint.equals) <= most:
            raise SpaceError(
                f"The sum {self.constraint} can never hold: within their bounds the parameters add up to "
                f"between {float(least):.12g} and {float(most):.12g}.",
                "Widen the bounds or change the total.",
            )

    def _build_lattice(self) -> tuple[Fraction, list[int], Lattice | None]:
        if not self._stepped:
            return Fraction(1), [], None
        n_steps = [(param.n_values or 1) - 1 for param in self._stepped]
        # A constant never moves, so its step must not refine the unit.
        steps = [exact(p.step) if n else Fraction(0) for p, n in zip(self._stepped, n_steps, strict=True)]
        unit = _common_unit(steps) or Fraction(1)
        weights = [int(step / unit) or 1 for step in steps]
        goal = self._goal(unit)
        if goal[0] > goal[1]:
            raise self._unreachable()
        if goal[1] <= MAX_UNITS:
            lattice: Lattice = CountedLattice(weights, n_steps, goal)
        elif set(weights) == {1}:
            lattice = FineLattice(n_steps, goal)
        else:
            raise SpaceError(
                f"The steps in the sum {self.constraint} must share a unit that fits at most {MAX_UNITS} times into "
                f"it, but the unit of these steps is {float(unit):.12g}.",
                "Give these parameters equal steps, coarser ones, or none.",
            )
        if not lattice.feasible:
            raise self._unreachable()
        return unit, weights, lattice

    def _goal(self, unit: Fraction) -> tuple[int, int]:
        """The least and most whole units that the stepped members must add up to, above their lows."""
        rest = exact(self.constraint.equals) - sum(exact(param.low) for param in self.params)
        slack = sum((exact(param.high) - exact(param.low) for param in self._free), Fraction(0))
        reach = sum((exact(param.high) - exact(param.low) for param in self._stepped), Fraction(0))
        return max(math.ceil((rest - slack) / unit), 0), math.floor(min(rest, reach) / unit)

    def _unreachable(self) -> SpaceError:
        return SpaceError(
            f"The sum {self.constraint} can never hold: the steps of its parameters never add up to "
            f"{self.constraint.equals!r}.",
            "Choose bounds and steps of which the total is a whole multiple, or leave the step of one out.",
        )

    def _in_units(self, steps: Sequence[int]) -> int:
        return sum(weight * k for weight, k in zip(self._weights, steps, strict=False))

    def _rest(self, stepped: Sequence[float]) -> float:
        """What the continuous members must add up to above their lows."""
        rest = math.fsum([self.constraint.equals, -self._base, *(-value for value in stepped)])
        return min(max(rest, 0.0), math.fsum(self._caps))

    def draw(self, rng: np.random.Generator) -> list[float]:
        values: list[float] = []
        if self._lattice is not None:
            values = [p.at(k) for p, k in zip(self._stepped, self._lattice.draw(rng), strict=True)]
        if self._free:
            values += self._raised(simplex.draw(rng, self._caps, self._rest(values)))
        return values

    def nearest(self, wanted: Sequence[float]) -> list[float]:
        # Beyond twice the width of everything a wish says no more, and would only cost precision.
        far = 2 * math.fsum(param.high - param.low for param in self.params)
        caps = [float(param.high - param.low) for param in self.params]
        offsets = [
            min(max(value, param.low - far), param.high + far) - param.low
            for value, param in zip(wanted, self.params, strict=True)
        ]
        n_stepped = len(self._stepped)
        values: list[float] = []
        if self._lattice is not None:
            target = offsets
            if self._free:
                total = self.constraint.equals - math.fsum(param.low for param in self.params)
                target = simplex.project(offsets, caps, min(max(total, 0.0), math.fsum(caps)))
            steps = [
                offset / param.step if param.step else 0.0
                for offset, param in zip(target[:n_stepped], self._stepped, strict=True)
            ]
            found = self._lattice.nearest(steps)
            values = [param.at(k) for param, k in zip(self._stepped, found, strict=True)]
        if self._free:
            values += self._raised(simplex.project(offsets[n_stepped:], self._caps, self._rest(values)))
        return values

    def _raised(self, offsets: Sequence[float]) -> list[float]:
        return [
            min(max(param.low + offset, param.low), param.high)
            for param, offset in zip(self._free, offsets, strict=True)
        ]

    def domain(self, prefix: Sequence[float]) -> Domain:
        member, n_stepped = len(prefix), len(self._stepped)
        if self._lattice is not None and member < n_stepped:
            steps = [param.index_of(value) for param, value in zip(self._stepped, prefix, strict=False)]
            indices = self._lattice.allowed(member, self._in_units(steps))
            param = self.params[member]
            return Domain(indices, param.at(indices[0]), param.at(indices[-1]))
        param, later = self.params[member], self.params[member + 1 :]
        rest = math.fsum([self.constraint.equals, *(-value for value in prefix)])
        low = max(param.low, rest - math.fsum(p.high for p in later))
        high = min(param.high, rest - math.fsum(p.low for p in later))
        # Rounding may turn a single point inside out, or push it past a bound.
        low = min(max(low, param.low), param.high)
        return Domain(None, low, max(low, min(high, param.high)))

    def count(self) -> float:
        if self._lattice is None or self._free:
            return math.inf
        return self._lattice.n_ways

    def problem(self, values: dict[str, float]) -> str:
        total = math.fsum(values[name] for name in self.constraint.names)
        equals = self.constraint.equals
        if abs(total - equals) <= _TOLERANCE * max(1.0, abs(equals)):
            return ""
        return f"{' + '.join(self.constraint.names)} must equal {equals!r}, but they add up to {total:.12g}."
