"""HEBO by suggest and observe, all at its defaults.

It knows no conditions: it is asked for all parameters, and told the middle of what is not active where
nothing else was asked. It has no word for a failure, which it is not told. A loss is told for what was asked,
although something near it was measured: else it would ask for the same again.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from benchmarks.peers.base import Config, Param, Peer, Told, active, middle

__all__ = ["HeboPeer"]


def _described(p: Param) -> dict[str, Any]:
    if p.choices is not None:
        return {"name": p.name, "type": "cat", "categories": list(range(len(p.choices)))}
    kind = {("float", False): "num", ("float", True): "pow", ("int", False): "int", ("int", True): "pow_int"}
    described = {"name": p.name, "type": kind[p.type, p.log], "lb": p.low, "ub": p.high}
    return described if p.type == "float" else {**described, "lb": int(p.low or 0), "ub": int(p.high or 0)}


class HeboPeer(Peer):
    """Heteroscedastic evolutionary Bayesian optimisation (Cowen-Rivers et al. 2022); categories by number."""

    def __init__(self, space: Sequence[Param], seed: int, n_experiments: int) -> None:
        super().__init__(space, seed, n_experiments)
        np.random.seed(seed)  # it draws from the global streams
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        self._hebo = HEBO(DesignSpace().parse([_described(p) for p in space]), scramble_seed=seed)
        self._asked: list[dict[str, Any]] = []

    def ask(self, n: int) -> list[Config]:
        rows = self._hebo.suggest(n_suggestions=n).to_dict("records")
        self._asked += rows
        return [active(self.space, {p.name: _decoded(p, row[p.name]) for p in self.space}) for row in rows]

    def tell(self, results: Sequence[Told]) -> None:
        good = [each for each in results if each.loss is not None]
        if good:
            rows = [self._row(each) for each in good]
            self._hebo.observe(pd.DataFrame(rows), np.array([[each.loss] for each in good], float))

    def _row(self, told: Told) -> dict[str, Any]:
        if told.number is not None:
            return self._asked[told.number]
        return {p.name: _encoded(p, told.config.get(p.name, middle(p))) for p in self.space}


def _decoded(p: Param, value: Any) -> Any:
    if p.choices is not None:
        return p.choices[int(value)]
    assert p.low is not None
    assert p.high is not None
    value = min(max(float(value), p.low), p.high)
    return round(value) if p.type == "int" else value


def _encoded(p: Param, value: Any) -> Any:
    return value if p.choices is None else p.choices.index(value)
