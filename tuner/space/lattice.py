"""Whole numbers k_i in 0..n_steps_i whose weighted sum lies in a goal: the stepped members of a Sum.

All in units: member i moves the sum by `weights[i]` units a step, and the goal is a range of whole units.
`CountedLattice` counts the ways to complete every partial sum and so draws exactly uniformly; `FineLattice`
serves lattices of equal steps that are too fine to count. Either one knows at once whether the goal can be
met.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import numpy as np

from tuner.space import simplex

__all__ = ["MAX_UNITS", "CountedLattice", "FineLattice", "Lattice"]

MAX_UNITS = 5_000
"""Goals above this many units are not counted one by one."""

_LARGE = 1e100
_TINY = 1e-300


class Lattice(Protocol):
    """What a Sum asks of its stepped members. A prefix is the sum in units of the members before `member`."""

    @property
    def feasible(self) -> bool:
        """Whether any choice meets the goal."""

    @property
    def n_ways(self) -> float:
        """How many choices meet the goal; infinite where nobody counted."""

    def allowed(self, member: int, prefix: int) -> Sequence[int]:
        """The values of this member that can still be completed, ascending."""

    def tally(self, named: Sequence[Collection[int]]) -> Iterator[tuple[list[int | None], float]]:
        """What each member holds of its `named` values, else None, and how many choices hold just that.

        Only where `n_ways` is finite.
        """

    def draw(self, rng: np.random.Generator) -> list[int]:
        """One choice, uniformly."""

    def nearest(self, target: Sequence[float]) -> list[int]:
        """The choice nearest to `target`, in steps of equal length or weighted by the length of each."""


class CountedLattice:
    """Counts the ways to complete every partial sum.

    Args:
        weights: units per step (>= 1) of each member.
        n_steps: the most steps (>= 0) of each member.
        goal: the least and the most units of the sum; 0 <= least <= most <= MAX_UNITS.
        holes: numbers of steps that each member must not take.
    """

    def __init__(
        self,
        weights: Sequence[int],
        n_steps: Sequence[int],
        goal: tuple[int, int],
        holes: Sequence[Collection[int]],
    ) -> None:
        self.weights, self.n_steps, self.goal = list(weights), list(n_steps), goal
        self.holes = [sorted(hole) for hole in holes]
        ways = np.zeros(goal[1] + 1)
        ways[goal[0] :] = 1.0
        tables = [ways]
        self._scaled = False
        for member in reversed(range(len(self.weights))):
            ways = self._extended(ways, member, self.holes[member])
            if ways.max(initial=0.0) > _LARGE:
                # Only ratios within one table matter; a way must not vanish by underflow.
                ways = np.where(ways > 0, np.maximum(ways / _LARGE, _TINY), 0.0)
                self._scaled = True
            tables.append(ways)
        self._tables = tables[::-1]

    @property
    def feasible(self) -> bool:
        """Whether the empty sum can be completed."""
        return bool(self._tables[0][0] > 0)

    @property
    def n_ways(self) -> float:
        """The count of the empty sum; infinite beyond 1e100."""
        return math.inf if self._scaled else float(self._tables[0][0])

    def _extended(self, ways: np.ndarray, member: int, holes: Sequence[int]) -> np.ndarray:
        """Return the ways to complete each sum before `member`, from those after it."""
        weight, n_values = self.weights[member], self._n_values(member)
        if not holes:
            return _window(ways, weight, n_values)
        allowed = sorted(set(range(n_values)).difference(holes))
        return sum((_shift(ways, k * weight) for k in allowed), np.zeros_like(ways))

    def _n_values(self, member: int) -> int:
        return min(self.n_steps[member], self.goal[1] // self.weights[member]) + 1

    def _completions(self, member: int, prefix: int) -> np.ndarray:
        weight, table = self.weights[member], self._tables[member + 1]
        found = table[prefix : prefix + weight * self.n_steps[member] + 1 : weight].copy()
        found[[hole for hole in self.holes[member] if hole < len(found)]] = 0.0
        return found

    def allowed(self, member: int, prefix: int) -> Sequence[int]:
        """Read from the counts."""
        return np.flatnonzero(self._completions(member, prefix)).tolist()

    def tally(self, named: Sequence[Collection[int]]) -> Iterator[tuple[list[int | None], float]]:
        """Settle the members from the last to the first, as the counts were made."""
        ways = np.zeros(self.goal[1] + 1)
        ways[self.goal[0] :] = 1.0
        found: list[tuple[list[int | None], np.ndarray]] = [([], ways)]
        for member in reversed(range(len(self.weights))):
            holes, n_values = self.holes[member], self._n_values(member)
            apart = sorted({k for k in named[member] if k < n_values}.difference(holes))
            further = []
            for held, after in found:
                further.append(([None, *held], self._extended(after, member, [*holes, *apart])))
                further += [([k, *held], _shift(after, k * self.weights[member])) for k in apart]
            found = [(held, ways) for held, ways in further if ways.any()]
        return ((held, float(ways[0])) for held, ways in found if ways[0])

    def draw(self, rng: np.random.Generator) -> list[int]:
        """Draw one member after the other, each value in proportion to its completions."""
        prefix, drawn = 0, []
        for member, u in enumerate(rng.random(len(self.weights)).tolist()):
            ways = np.cumsum(self._completions(member, prefix))
            chosen = int(np.searchsorted(ways, u * ways[-1], side="right"))
            drawn.append(chosen)
            prefix += chosen * self.weights[member]
        return drawn

    def nearest(self, target: Sequence[float]) -> list[int]:
        """Round the projection where all steps are equal, else minimise by dynamic programming."""
        if set(self.weights) == {1} and not any(self.holes):
            return _nearest_equal(target, self.n_steps, self.goal)
        # costs[s]: the least squared distance of the members from here on, given the sum so far.
        costs = np.where(self._tables[-1] > 0, 0.0, np.inf)
        choices = []
        for member in reversed(range(len(self.weights))):
            weight = self.weights[member]
            best, choice = np.full_like(costs, np.inf), np.zeros(len(costs), dtype=int)
            for steps in set(range(self._n_values(member))).difference(self.holes[member]):
                moved = np.full_like(costs, np.inf)
                moved[: len(costs) - steps * weight] = costs[steps * weight :]
                moved += (weight * (steps - target[member])) ** 2
                better = moved < best
                best[better], choice[better] = moved[better], steps
            costs = best
            choices.append(choice)
        prefix, found = 0, []
        for weight, choice in zip(self.weights, reversed(choices), strict=True):
            found.append(int(choice[prefix]))
            prefix += found[-1] * weight
        return found


def _window(ways: np.ndarray, weight: int, count: int) -> np.ndarray:
    """Return sum of ways[s + k * weight] for k < count: additions only, so that nothing cancels."""
    total, block, offset, size = np.zeros_like(ways), ways, 0, 1
    while count:
        if count & 1:
            total = total + _shift(block, offset)
            offset += size * weight
        count >>= 1
        block = block + _shift(block, size * weight)
        size *= 2
    return total


def _shift(ways: np.ndarray, by: int) -> np.ndarray:
    shifted = np.zeros_like(ways)
    if by < len(ways):
        shifted[: len(ways) - by] = ways[by:]
    return shifted


class FineLattice:
    """Members of equal steps (weight 1) and a goal of any size. Draws are uniform up to a step's width."""

    def __init__(self, n_steps: Sequence[int], goal: tuple[int, int]) -> None:
        self.n_steps, self.goal = list(n_steps), goal
        self._after = [sum(self.n_steps[i + 1 :]) for i in range(len(self.n_steps))]

    @property
    def feasible(self) -> bool:
        """Whether the goal is within the bounds: with equal steps nothing else can fail."""
        return self.goal[0] <= self.goal[1] and self.goal[1] >= 0 and self.goal[0] <= sum(self.n_steps)

    @property
    def n_ways(self) -> float:
        """Nobody counts these."""
        return math.inf if len(self.n_steps) > 1 else float(len(self.allowed(0, 0)))

    def allowed(self, member: int, prefix: int) -> Sequence[int]:
        """A range: with equal steps there are no holes."""
        least = max(self.goal[0] - prefix - self._after[member], 0)
        return range(least, min(self.goal[1] - prefix, self.n_steps[member]) + 1)

    def tally(self, named: Sequence[Collection[int]]) -> Iterator[tuple[list[int | None], float]]:
        """Of a single member."""
        values = self.allowed(0, 0)
        apart = sorted(set(named[0]).intersection(values))
        for steps in apart:
            yield [steps], 1.0
        if len(values) > len(apart):
            yield [None], float(len(values) - len(apart))

    def draw(self, rng: np.random.Generator) -> list[int]:
        """Draw as if continuous, then round."""
        least, most = max(self.goal[0], 0), min(self.goal[1], sum(self.n_steps))
        total = min(least + int(rng.random() * (most - least + 1)), most)
        point = simplex.draw(rng, [float(n) for n in self.n_steps], float(total))
        return _nearest_equal(point, self.n_steps, (total, total))

    def nearest(self, target: Sequence[float]) -> list[int]:
        """Round the projection."""
        return _nearest_equal(target, self.n_steps, self.goal)


def _nearest_equal(target: Sequence[float], n_steps: Sequence[int], goal: tuple[int, int]) -> list[int]:
    """Return the lattice point nearest to `target` whose plain sum lies in the goal.

    That is the projection, rounded, with what rounding left given where it costs least: the projection is off
    its target by the same amount everywhere between the bounds, so no exchange of steps comes nearer.
    """
    bounded = math.fsum(min(max(t, 0.0), n) for t, n in zip(target, n_steps, strict=True))
    total = min(max(math.floor(bounded + 0.5), goal[0], 0), goal[1], sum(n_steps))
    real = simplex.project(target, [float(n) for n in n_steps], float(total))
    found = [min(max(math.floor(r + 0.5), 0), n) for r, n in zip(real, n_steps, strict=True)]
    missing = total - sum(found)
    while missing > 0:
        roomy = (i for i, n in enumerate(n_steps) if found[i] < n)
        found[min(roomy, key=lambda i: found[i] - target[i])] += 1
        missing -= 1
    while missing < 0:
        positive = (i for i, k in enumerate(found) if k > 0)
        found[max(positive, key=lambda i: found[i] - target[i])] -= 1
        missing += 1
    return found
