"""scikit-optimize's `Optimizer` with its Gaussian process, by ask and tell, all at its defaults.

It knows no conditions: it is asked for all parameters, and told the middle of what is not active where
nothing else was asked. A batch is its own constant liar and is told at once. It has no word for a failure and
raises on NaN; a failure is told as the worst loss so far, as people do. A loss is told for what was asked,
although something near it was measured: else it would ask for the same again.
"""

from collections.abc import Sequence
from typing import Any

import skopt
from skopt.space import Categorical, Integer, Real

from benchmarks.peers.base import Config, Param, Peer, Told, active, middle

__all__ = ["SkoptPeer"]


def _dimension(p: Param) -> Any:
    if p.choices is not None:
        return Categorical(p.choices, name=p.name)
    kind = Integer if p.type == "int" else Real
    return kind(p.low, p.high, prior="log-uniform" if p.log else "uniform", name=p.name)


class SkoptPeer(Peer):
    """`Optimizer(dimensions, base_estimator="GP")`."""

    def __init__(self, space: Sequence[Param], seed: int, n_experiments: int) -> None:
        super().__init__(space, seed, n_experiments)
        dimensions = [_dimension(p) for p in space]
        self._optimizer = skopt.Optimizer(dimensions, base_estimator="GP", random_state=seed)
        self._asked: list[Config] = []
        self._worst: float | None = None

    def ask(self, n: int) -> list[Config]:
        points = [self._optimizer.ask()] if n == 1 else self._optimizer.ask(n_points=n)
        asked = [{p.name: _plain(v) for p, v in zip(self.space, x, strict=True)} for x in points]
        self._asked += asked
        return [active(self.space, config) for config in asked]

    def tell(self, results: Sequence[Told]) -> None:
        losses = [each.loss for each in results if each.loss is not None]
        self._worst = max([*losses, *([] if self._worst is None else [self._worst])], default=None)
        if self._worst is None:
            return
        points = [self._point(each) for each in results]
        told = [self._worst if each.loss is None else each.loss for each in results]
        if len(points) == 1:
            self._optimizer.tell(points[0], told[0])
        else:
            self._optimizer.tell(points, told)

    def _point(self, told: Told) -> list[Any]:
        config = told.config if told.number is None else self._asked[told.number]
        return [config.get(p.name, middle(p)) for p in self.space]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
