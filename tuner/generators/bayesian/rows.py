"""Many configurations at once, as rows of an array: for spaces without constraints between parameters.

Making configurations one by one takes far longer than judging them. Here a row has one number for each
parameter: the position on its scale in [0, 1], or the index of its choice.
"""

import math
from collections.abc import Sequence

import numpy as np

from tuner.experiment import Params, Value
from tuner.generators.bayesian.surrogate import Array
from tuner.space import CategoricalParam, Param, SearchSpace
from tuner.space.params import NumericParam
from tuner.space.values import typed

__all__ = ["Rows"]

_WIDTHS = (0.005, 0.3)
_SAME = 1e-12
_LEAST_REDRAW = 0.3


class Rows:
    """The rows of one space. Every row it returns stands for a valid configuration; see `config`."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._params = list(space.params.values())
        self._place = {name: j for j, name in enumerate(space.names)}
        self._resting = np.array([_row_value(param, param.default) for param in self._params])
        self._conditions = [
            (
                self._place[name],
                [
                    (self._place[parent], [_row_value(space.params[parent], value) for _, value in keys])
                    for parent, keys in space.conditions[name].parents
                ],
            )
            for name in space.order
            if name in space.conditions
        ]
        self._movable = [j for j, param in enumerate(self._params) if param.n_values != 1]

    def draws(self, n: int, rng: np.random.Generator) -> Array:
        """`n` random rows, each parameter uniform on its scale."""
        u = rng.random((n, len(self._params)))
        return self._rested(np.column_stack([_drawn(param, u[:, j]) for j, param in enumerate(self._params)]))

    def variations(self, parents: Array, n: int, reach: float, rng: np.random.Generator) -> Array:
        """`n` rows near `parents` (best first; the earlier, the more children).

        Each child moves between one and all parameters: numbers by a normal step whose width, 0.5 % to 30 %
        of the range times `reach`, is its own, and by one value at least; categories to a random choice, the
        more rarely the smaller `reach` is. What a move makes active is drawn.
        """
        n_params = len(self._params)
        parent = parents[(rng.random(n) ** 2 * len(parents)).astype(int)]
        moves = rng.random((n, n_params)) < rng.random((n, 1))
        moves[np.arange(n), rng.choice(self._movable, n)] = True
        widths = reach * np.exp(rng.uniform(math.log(_WIDTHS[0]), math.log(_WIDTHS[1]), (n, 1)))
        steps, fresh = rng.standard_normal((n, n_params)) * widths, self.draws(n, rng)
        redrawn = rng.random((n, n_params)) < max(reach, _LEAST_REDRAW)
        child = parent.copy()
        for j, param in enumerate(self._params):
            if isinstance(param, CategoricalParam):
                child[:, j] = np.where(moves[:, j] & redrawn[:, j], fresh[:, j], child[:, j])
            else:
                child[:, j] = np.where(moves[:, j], _moved(param, child[:, j], steps[:, j]), child[:, j])
        awoken = self._active(child) & ~self._active(parent)
        if awoken.any():
            u = rng.random((n, n_params))
            for j in np.flatnonzero(awoken.any(axis=0)).tolist():
                child[:, j] = np.where(awoken[:, j], _drawn(self._params[j], u[:, j]), child[:, j])
        return self._rested(child)

    def rows(self, configs: Sequence[Params]) -> Array:
        """The rows of valid configurations."""
        return np.array(
            [
                [_row_value(param, config.get(param.name, param.default)) for param in self._params]
                for config in configs
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
            {param.name: _config_value(param, row[j]) for j, param in enumerate(self._params) if active[j]}
        )

    def _active(self, rows: Array) -> "np.ndarray":
        active = np.ones(rows.shape, dtype=bool)
        for j, parents in self._conditions:
            for parent, values in parents:
                held = np.abs(rows[:, parent, None] - np.array(values)[None, :]).min(axis=1) < _SAME
                active[:, j] &= active[:, parent] & held
        return active

    def _rested(self, rows: Array) -> Array:
        """What is inactive stands where its default is, as in the encoding."""
        return np.where(self._active(rows), rows, self._resting)


def _row_value(param: Param, value: Value) -> float:
    if isinstance(param, CategoricalParam):
        return float(param.index_by_key[typed(value)])
    return float(param.encode([value])[0, 0])


def _config_value(param: Param, number: float) -> Value:
    if isinstance(param, CategoricalParam):
        return param.choices[int(number)]
    return param.shortened(param.clip(_on_scale(param, np.array([number]))[0]))


def _on_scale(param: NumericParam, u: Array) -> Array:
    """The values at these positions, steps not yet kept."""
    low, high = float(param.low), float(param.high)
    if param.log:
        return np.clip(np.exp(math.log(low) + u * (math.log(high) - math.log(low))), low, high)
    return np.clip(low + u * (high - low), low, high)


def _snapped(param: NumericParam, values: Array) -> Array:
    """The positions of the nearest values that the steps allow."""
    n_values = param.n_values
    if n_values is not None and param.step is not None:
        low, step = float(param.low), float(param.step)
        values = low + np.clip(np.floor((values - low) / step + 0.5), 0, n_values - 1) * step
    return np.asarray(param.encode(values.tolist()))[:, 0]


def _drawn(param: Param, u: Array) -> Array:
    """Rows' values for numbers uniform in [0, 1)."""
    if isinstance(param, CategoricalParam):
        return np.minimum(np.floor(u * len(param.choices)), len(param.choices) - 1)
    if param.n_values is None or param.step is None:
        return u if param.n_values is None else np.zeros(len(u))
    if param.log:
        start, end = param.log_range(param.low, param.high)
        return _snapped(param, np.exp(start + u * (end - start)))
    index = np.minimum(np.floor(u * param.n_values), param.n_values - 1)
    return _snapped(param, float(param.low) + index * float(param.step))


def _moved(param: NumericParam, at: Array, by: Array) -> Array:
    """Positions `by` further, reflected at the bounds; by one value at least where values have steps."""
    moved = np.abs(at + by)
    moved = np.clip(np.where(moved > 1, 2 - moved, moved), 0.0, 1.0)
    if param.n_values is None or param.n_values == 1 or param.step is None:
        return moved if param.n_values is None else at
    snapped = _snapped(param, _on_scale(param, moved))
    stuck = np.abs(snapped - at) < _SAME
    values = _on_scale(param, at)
    up = np.where(by > 0, 1.0, -1.0)
    up = np.where((values + up * param.step > param.high) | (values + up * param.step < param.low), -up, up)
    return np.where(stuck, _snapped(param, values + up * float(param.step)), snapped)
