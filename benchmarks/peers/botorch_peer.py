"""BoTorch's own parts in the way of its tutorials, since it ships no loop.

A scrambled Sobol design of twice as many points as parameters, 5 to 15; then a `SingleTaskGP` at its default
priors on standardised losses, and `qLogNoisyExpectedImprovement`, which knows what is pending, maximised by
`optimize_acqf`. Numbers live in the unit cube, categories are one-hot, and the best point is rounded; its
`MixedSingleTaskGP` takes five times as long to fit. It knows no conditions, and has no word for a failure,
which it is not told. What was asked stays pending where something near it was measured and told in its stead.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood

from benchmarks.peers.base import Config, Param, Peer, Told, active, from_unit, middle, to_unit

__all__ = ["BotorchPeer"]

_N_RESTARTS, _N_RAW, _N_SAMPLES = 10, 512, 128


class BotorchPeer(Peer):
    """One point after another, each pending for the next."""

    def __init__(self, space: Sequence[Param], seed: int, n_experiments: int) -> None:
        super().__init__(space, seed, n_experiments)
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        self._design = torch.quasirandom.SobolEngine(len(space), scramble=True, seed=seed)
        self._n_initial = min(max(2 * len(space), 5), 15)
        self._x: list[list[float]] = []
        self._y: list[float] = []
        self._n_asked = 0
        self._pending: dict[int, Config] = {}

    def ask(self, n: int) -> list[Config]:
        configs = []
        model = self._fit() if self._n_asked >= self._n_initial and len(self._y) > 1 else None
        for _ in range(n):
            config = self._drawn() if model is None else self._most_promising(model)
            self._pending[self._n_asked] = config
            self._n_asked += 1
            configs.append(active(self.space, config))
        return configs

    def tell(self, results: Sequence[Told]) -> None:
        for each in results:
            config = {p.name: middle(p) for p in self.space}
            if each.number is not None:
                config = self._pending[each.number]
                if active(self.space, config) == each.config:
                    del self._pending[each.number]
            if each.loss is not None:
                self._x.append(self._point({**config, **each.config}))
                self._y.append(each.loss)

    def _drawn(self) -> Config:
        places = self._design.draw(1, dtype=torch.double)[0].tolist()
        return {p.name: _chosen(p, u) for p, u in zip(self.space, places, strict=True)}

    def _fit(self) -> Any:
        x = torch.tensor(self._x, dtype=torch.double)
        y = -torch.tensor(self._y, dtype=torch.double).unsqueeze(-1)
        model = SingleTaskGP(x, y, outcome_transform=Standardize(m=1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model

    def _most_promising(self, model: Any) -> Config:
        pending = [self._point(config) for config in self._pending.values()]
        acquisition = qLogNoisyExpectedImprovement(
            model,
            torch.tensor(self._x, dtype=torch.double),
            sampler=SobolQMCNormalSampler(torch.Size([_N_SAMPLES]), seed=self.seed),
            prune_baseline=True,
            X_pending=torch.tensor(pending, dtype=torch.double) if pending else None,
        )
        n_columns = len(self._x[0])
        bounds = torch.tensor([[0.0] * n_columns, [1.0] * n_columns], dtype=torch.double)
        found, _ = optimize_acqf(acquisition, bounds, q=1, num_restarts=_N_RESTARTS, raw_samples=_N_RAW)
        return self._config(found[0].tolist())

    def _point(self, config: Mapping[str, Any]) -> list[float]:
        point: list[float] = []
        for p in self.space:
            value = config[p.name]
            point += [to_unit(p, value)] if p.choices is None else [float(c == value) for c in p.choices]
        return point

    def _config(self, point: list[float]) -> Config:
        config: Config = {}
        left = iter(point)
        for p in self.space:
            if p.choices is None:
                config[p.name] = from_unit(p, next(left))
            else:
                shares = [next(left) for _ in p.choices]
                config[p.name] = p.choices[shares.index(max(shares))]
        return config


def _chosen(p: Param, u: float) -> Any:
    """A value from a place in [0, 1]."""
    if p.choices is None:
        return from_unit(p, u)
    return p.choices[min(int(u * p.n_choices), p.n_choices - 1)]
