"""Many configurations at once, as rows of an array: making them one by one takes longer than judging them.

A row has one number for each parameter: the position on its scale in [0, 1], or the index of its choice.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from tuner.experiment import Params, Value
from tuner.generators.bayesian.columns import SAME, config_value, drawn, moved, reflected, row_values
from tuner.generators.bayesian.surrogate import Array
from tuner.generators.bayesian.ties import Tie, tie_of
from tuner.space import CategoricalParam, SearchSpace
from tuner.space.conditions import Key
from tuner.space.params import NumericParam

__all__ = ["Rows"]

_WIDTHS = (0.005, 0.3)
_LEAST_REDRAW = 0.3
_N_REDRAWS = 4
_N_MENDED = 32
_N_TO_WAKE = 32

_Held = tuple[int, Array]
"""The place of a parameter and the numbers of its values that something asks for."""


class Rows:
    """The rows of one space. Every row it returns stands for a valid configuration; see `config`.

    Args:
        space: not all of its parameters are constant.
        seed: of the draws that the members of its sums and orders are taken from.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self._space = space
        self._params = list(space.params.values())
        self._place = {name: j for j, name in enumerate(space.names)}
        self._resting = np.array([row_values(param, [param.default])[0] for param in self._params])
        self._conditions = [
            (self._place[name], self._held(dict(space.conditions[name].parents)))
            for name in space.order
            if name in space.conditions
        ]
        self._forbids = [self._held(dict(f.keys)) for f in (space.forbids.forbids if space.forbids else ())]
        self._movable = np.flatnonzero([param.n_values != 1 for param in self._params])
        self._seed = seed

    def draws(self, n: int, rng: np.random.Generator) -> Array:
        """`n` random rows, as `SearchSpace.sample` draws."""
        return self._rested(self._allowed(n, rng))

    def redrawn(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """`n` random rows, and the same rows with one parameter drawn anew: (n, p), (p, n, p).

        The others of a sum give way in proportion, those of an order stay; what a choice makes active stands
        where it was drawn beforehand. A row for which the new value is forbidden stays as it is.
        """
        rows, other = self._allowed(n, rng), self._drawn(n, rng, rest=False)
        rested, anew = self._rested(rows), []
        for j in range(len(self._params)):
            moved = rows.copy()
            moved[:, j] = other[:, j]
            for tie, members in self._ties:
                if j in members:
                    moved[:, members] = tie.redrawn(rows[:, members], members.index(j), rng)
            anew.append(self._mended(self._rested(moved), rested))
        return rested, np.array(anew)

    def placed(self, n: int, j: int, places: Array, rng: np.random.Generator) -> Array:
        """`n` random rows with the `j`-th parameter at each of `places`, (k,): (k, n, p).

        The others give way as in `redrawn`. It is active in each of them, or in none where draws do not find
        any.
        """
        rows = self._allowed(n, rng)
        if any(place == j for place, _ in self._conditions):
            rows = self._awake(rows, j, rng)
        rested, found = self._rested(rows), []
        for place in places:
            moved = rows.copy()
            moved[:, j] = place
            for tie, members in self._ties:
                if j in members:
                    moved[:, members] = tie.placed(rows[:, members], members.index(j), np.full(n, place))
            found.append(self._mended(self._rested(moved), rested))
        return np.array(found)

    def _awake(self, rows: Array, j: int, rng: np.random.Generator) -> Array:
        """As many random rows as are given, in which the `j`-th is active."""
        more = np.vstack([rows, self._allowed(_N_TO_WAKE * len(rows), rng)])
        found = more[self._active(more)[:, j]]
        return found[np.arange(len(rows)) % len(found)] if len(found) else rows

    def _allowed(self, n: int, rng: np.random.Generator) -> Array:
        """`n` random rows of which none is forbidden, with what is inactive where it would stand."""
        rows = self._drawn(n, rng, rest=False)
        for _ in range(_N_REDRAWS):
            bad = self._forbidden(rows)
            if not bad.any():
                return rows
            rows[bad] = self._drawn(int(bad.sum()), rng, rest=False)
        bad = np.flatnonzero(self._forbidden(rows))
        if len(bad):
            # Hardly anything is allowed here: that is found one at a time, so some have to do for all.
            found = self.rows([self._space.sample(rng) for _ in bad[:_N_MENDED]])
            rows[bad] = found[np.arange(len(bad)) % len(found)]
        return rows

    def variations(self, parents: Array, n: int, reach: float, rng: np.random.Generator) -> Array:
        """`n` rows near `parents` (best first; the earlier, the more children).

        Each child moves between one and all parameters: numbers by a normal step whose width, 0.5 % to 30 %
        of the range times `reach`, is its own, and by one value at least; categories to a random choice, the
        more rarely the smaller `reach` is. What a move makes active is drawn.
        """
        n_params = len(self._params)
        parent = parents[(rng.random(n) ** 2 * len(parents)).astype(int)]
        moves = rng.random((n, n_params)) < rng.random((n, 1))
        moves[np.arange(n), self._movable[rng.integers(len(self._movable), size=n)]] = True
        widths = reach * np.exp(rng.uniform(math.log(_WIDTHS[0]), math.log(_WIDTHS[1]), (n, 1)))
        steps, fresh = rng.standard_normal((n, n_params)) * widths, self._drawn(n, rng, rest=False)
        redrawn = rng.random((n, n_params)) < max(reach, _LEAST_REDRAW)
        child = np.where(moves & self._smooth, reflected(parent + steps), parent)
        child = np.where(moves & redrawn & self._chosen, fresh, child)
        for j in np.flatnonzero(~self._smooth & ~self._chosen):
            param = self._params[j]
            if isinstance(param, NumericParam) and j not in self._tied:
                child[:, j] = np.where(moves[:, j], moved(param, child[:, j], steps[:, j]), child[:, j])
        for tie, members in self._ties:
            child[:, members] = tie.moved(child[:, members], moves[:, members], steps[:, members], rng)
        if self._conditions:
            awoken = self._active(child) & ~self._active(parent)
            child = self._rested(np.where(awoken, fresh, child))
        return self._mended(child, parent)

    def _mended(self, child: Array, parent: Array) -> Array:
        """The children, but where one is forbidden its parent, which is allowed."""
        return child if not self._forbids else np.where(self._forbidden(child)[:, None], parent, child)

    def rows(self, configs: Sequence[Params]) -> Array:
        """The rows of valid configurations."""
        return np.column_stack(
            [
                row_values(param, [config.get(param.name, param.default) for config in configs])
                for param in self._params
            ]
        )

    def encode(self, rows: Array) -> Array:
        """What `SearchSpace.encode` gives for their configurations, (n, n_dims)."""
        codes = np.zeros((len(rows), self._space.n_dims))
        for j, (param, columns) in enumerate(zip(self._params, self._space.columns.values(), strict=True)):
            if isinstance(param, CategoricalParam):
                codes[np.arange(len(rows)), columns.start + rows[:, j].astype(int)] = 1.0
            else:
                codes[:, columns.start] = rows[:, j]
        return codes

    def config(self, row: Array) -> dict[str, Value]:
        """The configuration of one row."""
        active = self._active(row[None, :])[0]
        return self._space.repair(
            {param.name: config_value(param, row[j]) for j, param in enumerate(self._params) if active[j]}
        )

    def sums(self, row: Array) -> Array:
        """(c, n_params): what the members of each sum count in it, where they are active and continuous."""
        active = self._active(row[None, :])[0]
        sums = np.zeros((len(self._ties), len(row)))
        for (tie, members), shares in zip(self._ties, sums, strict=True):
            shares[members] = tie.shares * active[members]
        return np.asarray(sums[np.count_nonzero(sums, axis=1) > 1])

    @cached_property
    def only_sums(self) -> bool:
        """Whether all that can move are members of sums that can be shifted freely along them."""
        free = {members[i] for tie, members in self._ties for i in np.flatnonzero(tie.shares)}
        return free >= set(self._movable)

    @cached_property
    def spreads(self) -> Array:
        """(n_params,): the share of its range that each parameter is spread over; see `Tie.spread`."""
        spreads = np.ones(len(self._params))
        for tie, members in self._ties:
            spreads[members] = tie.spread
        return spreads

    @cached_property
    def _ties(self) -> list[tuple[Tie, list[int]]]:
        """Each Sum and Increasing, with the places of its members."""
        rng = np.random.default_rng(self._seed)
        groups = [unit.group for unit in self._space.units if unit.group is not None]
        return [(tie_of(group, rng), [self._place[name] for name in group.names]) for group in groups]

    @cached_property
    def _smooth(self) -> "np.ndarray":
        """(n_params,): which are free numbers without steps, so that all of them can be moved at once."""
        return np.array(
            [
                not isinstance(param, CategoricalParam) and param.n_values is None and j not in self._tied
                for j, param in enumerate(self._params)
            ]
        )

    @cached_property
    def _chosen(self) -> "np.ndarray":
        """(n_params,): which are categories."""
        return np.array([isinstance(param, CategoricalParam) for param in self._params])

    @cached_property
    def _tied(self) -> set[int]:
        return {j for _, members in self._ties for j in members}

    def _drawn(self, n: int, rng: np.random.Generator, *, rest: bool = True) -> Array:
        """Random rows, forbidden ones among them."""
        u = rng.random((n, len(self._params)))
        rows = np.empty_like(u)
        for j, param in enumerate(self._params):
            if j not in self._tied:
                rows[:, j] = drawn(param, u[:, j])
        for tie, members in self._ties:
            rows[:, members] = tie.drawn(n, rng)
        return self._rested(rows) if rest else rows

    def _held(self, keys: Mapping[str, frozenset[Key]]) -> list[_Held]:
        return [
            (self._place[name], row_values(self._space.params[name], [value for _, value in values]))
            for name, values in keys.items()
        ]

    def _forbidden(self, rows: Array) -> "np.ndarray":
        """Which rows a Forbid matches, (n,)."""
        forbidden = np.zeros(len(rows), dtype=bool)
        if self._forbids:
            active = self._active(rows)
            for held in self._forbids:
                forbidden |= np.logical_and.reduce([active[:, j] & _holds(rows[:, j], v) for j, v in held])
        return forbidden

    def _active(self, rows: Array) -> "np.ndarray":
        active = np.ones(rows.shape, dtype=bool)
        for j, held in self._conditions:
            for parent, values in held:
                active[:, j] &= active[:, parent] & _holds(rows[:, parent], values)
        return active

    def _rested(self, rows: Array) -> Array:
        """What is inactive stands where its default is, as in the encoding."""
        return np.where(self._active(rows), rows, self._resting)


def _holds(column: Array, values: Array) -> "np.ndarray":
    return np.asarray(np.abs(column[:, None] - values[None, :]).min(axis=1) < SAME)
