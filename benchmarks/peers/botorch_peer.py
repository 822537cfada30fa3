"""BoTorch's own parts in the way of its tutorials, since it ships no loop.

A scrambled Sobol design of twice as many points as parameters, 5 to 15; then a `SingleTaskGP`
(`MixedSingleTaskGP` with categories) at its default priors on standardised losses, and
`qLogNoisyExpectedImprovement`, which knows what is pending, maximised by `optimize_acqf`, or by
`optimize_acqf_mixed_alternating` where there are categories or small integers. Numbers live in the unit
cube; it knows no conditions. It has no word for a failure, which it is not told.
"""

from collections.abc import Sequence
from typing import Any

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import MixedSingleTaskGP, SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf, optimize_acqf_mixed_alternating
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from benchmarks.peers.base import Config, Param, Peer, Told, active, from_unit, middle, to_unit

__all__ = ["BotorchPeer"]

_MOST_DISCRETE = 20
_N_RESTARTS, _N_RAW, _N_SAMPLES = 10, 256, 128


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
        self._asked: list[list[float]] = []
        self._pending: dict[int, list[float]] = {}
        self._categories = {i: p.choices for i, p in enumerate(space) if p.choices is not None}
        self._discrete = {
            i: sorted({to_unit(p, v) for v in range(int(p.low), int(p.high) + 1)})
            for i, p in enumerate(space)
            if p.type == "int"
            and p.low is not None
            and p.high is not None
            and p.high - p.low < _MOST_DISCRETE
        }
        high = [1.0 if p.choices is None else len(p.choices) - 1.0 for p in space]
        self._bounds = torch.tensor([[0.0] * len(space), high], dtype=torch.double)

    def ask(self, n: int) -> list[Config]:
        configs = []
        model = self._fit() if len(self._asked) >= self._n_initial and len(self._y) > 1 else None
        for _ in range(n):
            x = self._drawn() if model is None else self._most_promising(model)
            config = {p.name: self._value(i, x[i]) for i, p in enumerate(self.space)}
            x = self._point(config)
            self._pending[len(self._asked)] = x
            self._asked.append(x)
            configs.append(active(self.space, config))
        return configs

    def tell(self, results: Sequence[Told]) -> None:
        for each in results:
            asked = [self._place(i, middle(p)) for i, p in enumerate(self.space)]
            if each.number is not None:
                asked = self._pending.pop(each.number)
            if each.loss is not None:
                self._x.append(
                    [
                        self._place(i, each.config[p.name]) if p.name in each.config else asked[i]
                        for i, p in enumerate(self.space)
                    ]
                )
                self._y.append(each.loss)

    def _drawn(self) -> list[float]:
        u = self._design.draw(1, dtype=torch.double)[0].tolist()
        return [
            float(min(int(u[i] * len(c)), len(c) - 1)) if (c := self._categories.get(i)) else u[i]
            for i in range(len(self.space))
        ]

    def _fit(self) -> Any:
        x = torch.tensor(self._x, dtype=torch.double)
        y = -torch.tensor(self._y, dtype=torch.double).unsqueeze(-1)
        transform = Standardize(m=1)
        model = (
            MixedSingleTaskGP(x, y, cat_dims=list(self._categories), outcome_transform=transform)
            if self._categories
            else SingleTaskGP(x, y, outcome_transform=transform)
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model

    def _most_promising(self, model: Any) -> list[float]:
        pending = torch.tensor(list(self._pending.values()), dtype=torch.double) if self._pending else None
        acquisition = qLogNoisyExpectedImprovement(
            model,
            torch.tensor(self._x, dtype=torch.double),
            sampler=SobolQMCNormalSampler(torch.Size([_N_SAMPLES]), seed=self.seed),
            prune_baseline=True,
            X_pending=pending,
        )
        found: Tensor
        if self._categories or self._discrete:
            found, _ = optimize_acqf_mixed_alternating(
                acquisition,
                self._bounds,
                discrete_dims=self._discrete,
                cat_dims={i: [float(k) for k in range(len(c))] for i, c in self._categories.items()},
                num_restarts=_N_RESTARTS,
                raw_samples=_N_RAW,
            )
        else:
            found, _ = optimize_acqf(
                acquisition, self._bounds, q=1, num_restarts=_N_RESTARTS, raw_samples=_N_RAW
            )
        return found[0].tolist()  # type: ignore[no-any-return]

    def _value(self, i: int, x: float) -> Any:
        choices = self._categories.get(i)
        return from_unit(self.space[i], x) if choices is None else choices[round(x)]

    def _place(self, i: int, value: Any) -> float:
        choices = self._categories.get(i)
        return to_unit(self.space[i], value) if choices is None else float(choices.index(value))

    def _point(self, config: Config) -> list[float]:
        return [self._place(i, config[p.name]) for i, p in enumerate(self.space)]
