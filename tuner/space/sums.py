"""Keeping a Sum: stepped members on their lattice first, continuous ones on the simplex that remains."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from tuner.errors import SpaceError
from tuner.experiment import Value
from tuner.space import simplex
from tuner.space.conditions import Key
from tuner.space.constraints import Sum
from tuner.space.groups import Domain, Group
from tuner.space.params import NumericParam
from tuner.space.values import exact

if TYPE_CHECKING:
    import numpy as np

    from tuner.space.lattice import Lattice

__all__ = ["SumGroup"]

_TOLERANCE = 1e-9
_ROUNDING = 1e-15


class SumGroup(Group):
    """Members that add up to a total.

    Draws are uniform over the feasible set where all members are continuous (see `simplex.draw`) or all are
    stepped (see `lattice`). Where both kinds meet, the stepped ones are uniform over what can be completed,
    and the continuous ones uniform given those. Log scales play no part in it.

    Args:
        constraint: the declaration.
        params: its members.
        named: members that forbids name; they are settled before the others of their kind.
        excluded: values of members that are forbidden whatever the others are.

    Raises:
        SpaceError: nothing within the bounds and steps meets the total.
    """

    constraint: Sum

    def __init__(
        self,
        constraint: Sum,
        params: Sequence[NumericParam],
        named: Collection[str] = (),
        excluded: Mapping[str, Collection[Key]] = MappingProxyType({}),
    ) -> None:
        # Members that forbids name are settled first: the others can then always complete the sum.
        ranked = sorted(params, key=lambda param: param.name not in named)
        self._named, self._excluded = named, excluded
        self._stepped = [param for param in ranked if param.n_values is not None]
        self._free = [param for param in ranked if param.n_values is None]
        super().__init__([*self._stepped, *self._free])
        self.constraint = constraint
        self._equals = constraint.equals
        self._caps = [float(param.high - param.low) for param in self._free]
        self._base = math.fsum(param.low for param in self._free)
        largest = max(abs(bound) for param in params for bound in (param.low, param.high))
        rounding = len(self.params) * _ROUNDING * largest  # of members that are large beside their sum
        self._tolerance = max(_TOLERANCE * max(1.0, abs(self._equals)), rounding)
        self._check_bounds()
        self._weights: list[int] = []
        self._lattice = self._build_lattice() if self._stepped else None

    def _check_bounds(self) -> None:
        least, most = (
            math.fsum(bounds) for bounds in zip(*((p.low, p.high) for p in self.params), strict=True)
        )
        if not least - self._tolerance / 10 <= self._equals <= most + self._tolerance / 10:
            raise SpaceError(
                f"The sum {self.constraint} can never hold: within their bounds the parameters add up to "
                f"between {least:.12g} and {most:.12g}.",
                "Widen the bounds or change the total.",
            )

    def _build_lattice(self) -> "Lattice":
        from tuner.space.lattice import MAX_UNITS, CountedLattice, FineLattice  # numpy is slow to import

        n_steps = [(param.n_values or 1) - 1 for param in self._stepped]
        # A constant never moves, so its step must not refine the unit.
        steps = [exact(p.step) if n else Fraction(0) for p, n in zip(self._stepped, n_steps, strict=True)]
        unit = _common_unit(steps) or Fraction(1)
        self._weights = [int(step / unit) or 1 for step in steps]
        goal = self._goal(unit)
        if goal[0] > goal[1]:
            raise self._unreachable()
        if goal[1] <= MAX_UNITS:
            holes = [self._holes(param) for param in self._stepped]
            lattice: Lattice = CountedLattice(self._weights, n_steps, goal, holes)
        elif set(self._weights) == {1}:
            lattice = FineLattice(n_steps, goal)
        else:
            raise SpaceError(
                f"The steps in the sum {self.constraint} must be multiples of one unit that fits into it at "
                f"most {MAX_UNITS:,} times, but the unit of these steps is {float(unit):.12g}.",
                "Give these parameters equal steps, coarser ones, or none.",
            )
        if not lattice.feasible:
            raise self._unreachable()
        return lattice

    def _holes(self, param: NumericParam) -> set[int]:
        values = (value for _, value in self._excluded.get(param.name, ()) if isinstance(value, int | float))
        return {param.index_of(value) for value in values if param.low <= value <= param.high}

    def _goal(self, unit: Fraction) -> tuple[int, int]:
        """Return the least and most whole units that the stepped members must add up to, above their lows."""
        slack = min(Fraction(self._tolerance) / 10, unit / 4)
        rest = exact(self._equals) - sum(exact(param.low) for param in self.params)
        spare = sum((exact(param.high) - exact(param.low) for param in self._free), Fraction(0))
        reach = sum((exact(param.high) - exact(param.low) for param in self._stepped), Fraction(0))
        return max(math.ceil((rest - spare - slack) / unit), 0), math.floor(min(rest + slack, reach) / unit)

    def _unreachable(self) -> SpaceError:
        return SpaceError(
            f"The sum {self.constraint} can never hold: in the steps that are allowed the parameters never "
            f"add up to {self._equals!r}.",
            "Choose bounds and steps that can reach the total, or leave the step of one parameter out.",
        )

    def with_params(self, params: Sequence[NumericParam]) -> "SumGroup":
        """Build the same sum over these."""
        return SumGroup(self.constraint, params, self._named, self._excluded)

    def draw(self, rng: "np.random.Generator") -> list[float]:
        """Draw stepped members from their lattice, then continuous ones from what remains."""
        values = [] if self._lattice is None else self._at(self._lattice.draw(rng))
        return values + self._raised(simplex.draw(rng, self._caps, self._rest(values)) if self._free else [])

    def nearest(self, wanted: Sequence[float]) -> list[float]:
        """Project (Euclidean); where both kinds of members meet, the stepped ones are rounded from there."""
        clipped = [param.clip(value) for param, value in zip(self.params, wanted, strict=True)]
        if clipped == list(wanted) and abs(math.fsum(clipped) - self._equals) <= self._tolerance:
            return clipped
        # Beyond twice the width of everything a wish says no more, and would only cost precision.
        far = 2 * math.fsum(param.high - param.low for param in self.params)
        offsets = [
            min(max(value - param.low, -far), param.high - param.low + far)
            for value, param in zip(wanted, self.params, strict=True)
        ]
        n_stepped = len(self._stepped)
        values: list[float] = []
        if self._lattice is not None:
            target = self._projected(offsets) if self._free else offsets
            steps = [
                offset / param.step if param.step else 0.0
                for offset, param in zip(target[:n_stepped], self._stepped, strict=True)
            ]
            values = self._at(self._lattice.nearest(steps))
        if not self._free:
            return values
        return values + self._raised(simplex.project(offsets[n_stepped:], self._caps, self._rest(values)))

    def _projected(self, offsets: Sequence[float]) -> list[float]:
        """Project as if no member were stepped."""
        caps = [float(param.high - param.low) for param in self.params]
        total = self._equals - math.fsum(param.low for param in self.params)
        return simplex.project(offsets, caps, min(max(total, 0.0), math.fsum(caps)))

    def _at(self, steps: Sequence[int]) -> list[float]:
        return [param.at(k) for param, k in zip(self._stepped, steps, strict=True)]

    def _rest(self, stepped: Sequence[float]) -> float:
        """Return what the continuous members must add up to above their lows."""
        rest = math.fsum([self._equals, -self._base, *(-value for value in stepped)])
        return min(max(rest, 0.0), math.fsum(self._caps))

    def _raised(self, offsets: Sequence[float]) -> list[float]:
        values = [
            min(param.low + offset, param.high) for param, offset in zip(self._free, offsets, strict=True)
        ]
        return (self._shortened(values) or values) if values else []

    def _shortened(self, values: Sequence[float]) -> list[float] | None:
        """Return the continuous members to as many decimals as the narrowest needs, with the same sum.

        The one with the most room takes what rounding leaves. None where that leads out of the bounds.
        """
        places = max(param.places for param in self._free)
        short = [round(value, places) + 0.0 for value in values]
        room = [min(v - p.low, p.high - v) for v, p in zip(values, self._free, strict=True)]
        widest = room.index(max(room))
        others = [-value for i, value in enumerate(short) if i != widest]
        rest = math.fsum([*values, *others])
        short[widest] = round(rest, places) + 0.0
        if abs(short[widest] - rest) > self._tolerance / 1000:  # the total has more digits than that
            short[widest] = rest
        within = all(p.low <= value <= p.high for value, p in zip(short, self._free, strict=True))
        return short if within else None

    def domain(self, prefix: Sequence[float]) -> Domain:
        """Return what leaves a rest that the later members can meet."""
        member = len(prefix)
        param, later = self.params[member], self.params[member + 1 :]
        if self._lattice is not None and member < len(self._stepped):
            steps = [p.index_of(value) for p, value in zip(self._stepped, prefix, strict=False)]
            used = sum(weight * k for weight, k in zip(self._weights, steps, strict=False))
            indices = self._lattice.allowed(member, used)
            return Domain(indices, param.at(indices[0]), param.at(indices[-1]))
        rest = math.fsum([self._equals, *(-value for value in prefix)])
        # Rounding may turn a single point inside out, or push it past a bound.
        low = min(max(rest - math.fsum(p.high for p in later), param.low), param.high)
        high = min(rest - math.fsum(p.low for p in later), param.high)
        return Domain(None, low, max(low, high))

    def count(self) -> float:
        """Return the lattice's own count."""
        return math.inf if self._lattice is None or self._free else self._lattice.n_ways

    def tally(self, named: Mapping[str, Collection[Key]]) -> Iterator[tuple[dict[str, Value], float]]:
        """Let the lattice tell its ways apart."""
        if self._lattice is None or self.count() == math.inf:
            return iter([({}, math.inf)])
        steps = [
            {p.index_of(value) for _, value in named[p.name] if isinstance(value, int | float)}
            for p in self._stepped
        ]
        return (
            ({p.name: p.at(k) for p, k in zip(self._stepped, held, strict=True) if k is not None}, n_ways)
            for held, n_ways in self._lattice.tally(steps)
        )

    def problem(self, values: Mapping[str, float]) -> str:
        """Name the members and what they add up to."""
        total = math.fsum(values[name] for name in self.constraint.names)
        if abs(total - self._equals) <= self._tolerance:
            return ""
        return (
            f"{' + '.join(self.constraint.names)} must equal {self._equals!r}, but the sum is {total:.12g}."
        )


def _common_unit(values: Sequence[Fraction]) -> Fraction:
    """Return the largest number of which all values are whole multiples; 0 when all are 0."""
    denominator = math.lcm(*(value.denominator for value in values))
    return Fraction(math.gcd(*(int(value * denominator) for value in values)), denominator)
