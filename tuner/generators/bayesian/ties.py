"""The members of one Sum or Increasing in many rows: drawn together, and moved so that their tie holds."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from math import lcm, sqrt

import numpy as np

from tuner.generators.bayesian.columns import moved, on_scale, places_of, settled
from tuner.generators.bayesian.surrogate import Array
from tuner.space.groups import Group
from tuner.space.ordering import IncreasingGroup
from tuner.space.params import NumericParam
from tuner.space.values import exact

__all__ = ["Tie", "tie_of"]

_N_DRAWN = 512
_SLACK = 1e-9
"""What rounding may do to a number of steps."""

_LEAST_SPREAD = 1e-3
"""A member whose range is far wider than what the sum leaves of it is known by what the others are anyway; to
stretch it further would lose the distances between configurations to rounding."""


class Tie(ABC):
    """Places are arrays (n, members), in the group's own order.

    Attributes:
        pool: (512, members), draws of the group: one at a time they cost more than all else, so they are
            made once. Other members of a configuration meet them in ever new combinations.
    """

    def __init__(self, group: Group, rng: np.random.Generator) -> None:
        self.params: Sequence[NumericParam] = group.params
        values = np.array([group.draw(rng) for _ in range(_N_DRAWN)])
        self.pool = self._places(values)

    @cached_property
    def spread(self) -> Array:
        """(members,): the share of its scale that each is spread over; 1 where evenly over all of it."""
        return np.ones(len(self.params))

    def drawn(self, n: int, rng: np.random.Generator) -> Array:
        """`n` draws."""
        return np.asarray(self.pool[rng.integers(len(self.pool), size=n)])

    @abstractmethod
    def moved(self, at: Array, moves: "np.ndarray", steps: Array, rng: np.random.Generator) -> Array:
        """Where the members are after the `moves` wished for, bool, `steps` wide: (n, members) both.

        Rows without a move stay.
        """

    @abstractmethod
    def placed(self, at: Array, i: int, to: Array) -> Array:
        """Where the members are once the `i`-th stands at `to`, (n,), or as near to it as the tie allows.

        Where members of a sum have other steps than it has, or none, it may miss that by one step.
        """

    @abstractmethod
    def redrawn(self, at: Array, i: int, rng: np.random.Generator) -> Array:
        """Where the members are once the `i`-th is drawn anew, given what the others leave it."""

    @property
    def shares(self) -> Array:
        """(members,): what a place counts in the sum where it can be shifted freely along it; else 0."""
        return np.zeros(len(self.params))

    def _places(self, values: Array) -> Array:
        return np.column_stack([places_of(param, values[:, i]) for i, param in enumerate(self.params)])

    def _values(self, places: Array) -> Array:
        return np.column_stack([on_scale(param, places[:, i]) for i, param in enumerate(self.params)])


class _SumTie(Tie):
    """Moves by transfers: what one member gains another gives. Every member has a partner, twice over."""

    def moved(self, at: Array, moves: "np.ndarray", steps: Array, rng: np.random.Generator) -> Array:
        values = self._values(at)
        n_pairs = len(self.params) // 2
        rows = np.arange(len(at))[:, None]
        for _ in range(2):
            shuffled = np.argsort(rng.random(at.shape), axis=1)
            one, other = shuffled[:, :n_pairs], shuffled[:, n_pairs : 2 * n_pairs]
            wanted = steps[rows, one] * self._widths[one]
            chosen = np.logical_or(moves[rows, one], moves[rows, other])
            given = np.where(chosen, self._given(values, one, other, wanted), 0.0)
            values[rows, one] += given
            values[rows, other] -= given
        return np.where(moves.any(axis=1, keepdims=True), self._places(values), at)

    def placed(self, at: Array, i: int, to: Array) -> Array:
        """The others give way in proportion to what they have, so that their proportions stay."""
        values = self._values(at)
        goal = on_scale(self.params[i], to)
        wanted = goal - values[:, i]
        others = [j for j in range(len(self.params)) if j != i]
        parts = values[:, others] - self._lows[others]
        parts = np.where(
            parts.sum(axis=1, keepdims=True) > _SLACK, parts, self._highs[others] - self._lows[others]
        )
        parts = parts / np.maximum(parts.sum(axis=1, keepdims=True), _SLACK)
        for shared in (True, False):  # what bounds and steps leave undone, the first that can does
            for part, j in zip(parts.T, others, strict=True):
                most = np.minimum(self._highs[i] - values[:, i], values[:, j] - self._lows[j]).clip(0.0)
                least = -np.minimum(values[:, i] - self._lows[i], self._highs[j] - values[:, j]).clip(0.0)
                given = _within(
                    wanted * part if shared else goal - values[:, i], least, most, self._quanta[i, j]
                )
                values[:, i] += given
                values[:, j] -= given
        return self._places(values)

    def redrawn(self, at: Array, i: int, rng: np.random.Generator) -> Array:
        return self.placed(at, i, self.drawn(len(at), rng)[:, i])

    def _given(self, values: Array, one: "np.ndarray", other: "np.ndarray", wanted: Array) -> Array:
        """What `one` gains and `other` gives, nearest to what is wanted; if nothing, the other way round."""
        rows = np.arange(len(values))[:, None]
        gains, gives = self._highs - values, values - self._lows
        most = np.minimum(gains[rows, one], gives[rows, other]).clip(0.0)
        least = -np.minimum(gives[rows, one], gains[rows, other]).clip(0.0)
        quantum = self._quanta[one, other]
        found = _stepped(wanted, least, most, quantum)
        return np.where(found == 0.0, _stepped(-wanted, least, most, quantum), found)

    @cached_property
    def spread(self) -> Array:
        """Of an even spread of the same deviation."""
        found = sqrt(12) * self.pool.std(axis=0)
        return np.where(found > _SLACK, found.clip(_LEAST_SPREAD), 1.0)

    @property
    def shares(self) -> Array:
        straight = [param.n_values is None and not param.log for param in self.params]
        return np.where(straight, self._highs - self._lows, 0.0)

    @cached_property
    def _lows(self) -> Array:
        return np.array([param.low for param in self.params], dtype=float)

    @cached_property
    def _highs(self) -> Array:
        return np.array([param.high for param in self.params], dtype=float)

    @cached_property
    def _widths(self) -> Array:
        """A full step of each member: as wide as a range whose draws are spread as far."""
        return np.asarray(sqrt(12) * self._values(self.pool).std(axis=0))

    @cached_property
    def _quanta(self) -> Array:
        """(members, members): the least transfer that keeps the steps of both; 0 where there are none."""
        return np.array([[_common(one, other) for other in self.params] for one in self.params])


class _OrderTie(Tie):
    """Each moves alone, and then the others give way upwards."""

    def __init__(self, group: IncreasingGroup, rng: np.random.Generator) -> None:
        super().__init__(group, rng)
        self._alike = group.alike
        self._most = [
            float(p.encode([high])[0, 0]) for p, high in zip(group.params, group.highs, strict=True)
        ]

    def moved(
        self,
        at: Array,
        moves: "np.ndarray",
        steps: Array,
        rng: np.random.Generator,  # noqa: ARG002 - nothing is left to chance
    ) -> Array:
        places = np.column_stack(
            [
                np.where(moves[:, i], moved(param, at[:, i], steps[:, i]), at[:, i])
                for i, param in enumerate(self.params)
            ]
        )
        if self._alike:
            places.sort(axis=1)
        values = np.empty(len(at))
        for i, (param, most) in enumerate(zip(self.params, self._most, strict=True)):
            places[:, i] = np.minimum(places[:, i], most)
            if i:
                places[:, i] = np.maximum(places[:, i], _above(param, values))
            values = on_scale(param, places[:, i])
        return places

    def placed(self, at: Array, i: int, to: Array) -> Array:
        """Between its neighbours, which stay."""
        low, high = self._room(at, i)
        found = at.copy()
        found[:, i] = settled(self.params[i], np.minimum(np.maximum(to, low), high))
        return found

    def redrawn(self, at: Array, i: int, rng: np.random.Generator) -> Array:
        low, high = self._room(at, i)
        return self.placed(at, i, low + rng.random(len(at)) * (high - low))

    def _room(self, at: Array, i: int) -> tuple[Array, Array]:
        """The least and the highest place that the neighbours leave to the `i`-th: (n,), (n,)."""
        param, values = self.params[i], self._values(at)
        low = _above(param, values[:, i - 1]) if i else np.zeros(len(at))
        last = i == len(self.params) - 1
        high = np.ones(len(at)) if last else _below(param, values[:, i + 1])
        return low, np.maximum(low, high)


def tie_of(group: Group, rng: np.random.Generator) -> Tie:
    """The tie of a group; `rng` draws its pool."""
    return _OrderTie(group, rng) if isinstance(group, IncreasingGroup) else _SumTie(group, rng)


def _stepped(wanted: Array, least: Array, most: Array, quantum: Array) -> Array:
    """The nearest to `wanted` from `least` <= 0 to `most` >= 0, in whole quanta where they are not 0."""
    unit = np.where(quantum > 0, quantum, 1.0)
    n = np.round(wanted / unit)
    n = np.where(n == 0, np.sign(wanted), n)
    n = n.clip(np.ceil(least / unit - _SLACK), np.floor(most / unit + _SLACK))
    return np.where(quantum > 0, n * unit, wanted.clip(least, most))


def _within(wanted: Array, least: Array, most: Array, quantum: float) -> Array:
    """As much of `wanted` as lies from `least` <= 0 to `most` >= 0, in whole quanta where it is not 0."""
    if not quantum:
        return wanted.clip(least, most)
    n = np.trunc(wanted / quantum + np.sign(wanted) * _SLACK)
    return np.asarray(n.clip(np.ceil(least / quantum - _SLACK), np.floor(most / quantum + _SLACK)) * quantum)


def _common(one: NumericParam, other: NumericParam) -> float:
    steps = [
        exact(param.step) for param in (one, other) if param.n_values is not None and param.step is not None
    ]
    if not steps:
        return 0.0
    below = lcm(*(step.denominator for step in steps))
    return lcm(*(int(step * below) for step in steps)) / below


def _above(param: NumericParam, values: Array) -> Array:
    """The places of the least values of `param` that are greater; its own least where all are."""
    if param.n_values is None:
        return places_of(param, values.clip(float(param.low), float(param.high)))
    low, step = float(param.low), float(param.step or 1)
    index = (np.floor((values - low) / step + _SLACK) + 1).clip(0, param.n_values - 1)
    return places_of(param, low + index * step)


def _below(param: NumericParam, values: Array) -> Array:
    """The places of the greatest values of `param` that are less; its own greatest where all are."""
    if param.n_values is None:
        return places_of(param, values.clip(float(param.low), float(param.high)))
    low, step = float(param.low), float(param.step or 1)
    index = (np.ceil((values - low) / step - _SLACK) - 1).clip(0, param.n_values - 1)
    return places_of(param, low + index * step)
