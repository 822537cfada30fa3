"""scikit-optimize's engines: its Gaussian process, random forest and extra trees, by expected improvement.

Its learners and acquisition are used, not its Optimizer: that one hands out the same point until it is told,
returns numpy integers, raises on NaN, and knows neither conditions nor sums. Here candidates come from the
space, what is known is left out, failures count as the worst value, and what is pending is told as the best
one (the constant liar of Ginsbourger et al., 2010, which is its own default).
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, log
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from skopt.acquisition import gaussian_ei
from skopt.learning import GaussianProcessRegressor
from skopt.learning.gaussian_process.kernels import WhiteKernel
from skopt.utils import cook_estimator

from tuner.experiment import Params, loss_of
from tuner.generators.cube import Cube
from tuner.generators.history import LearningGenerator
from tuner.generators.random import draw_unseen
from tuner.space import CategoricalParam, config_key

__all__ = ["SkoptExtraTreesGenerator", "SkoptForestGenerator", "SkoptGaussianProcessGenerator"]

_N_INITIAL = 10
_N_DRAWS = 200
_N_NEAR = 100
_N_PARENTS = 5
_N_LISTED = 500
_WIDTHS = (0.01, 0.3)
_DIGITS = 9


@dataclass(frozen=True)
class _Belief:
    """What was learned from finished experiments.

    Attributes:
        parents: the best configurations, best first.
        x: (n, n_dims) encoded configurations.
        y: (n,) losses with mean 0 and deviation 1, failures at the worst.
        unit, center, scale: a loss is `(y * scale + center) * unit`; in two steps, so that none overflows.
        model: fitted to them.
    """

    parents: list[Params]
    x: np.ndarray
    y: np.ndarray
    unit: float
    center: float
    scale: float
    model: Any


class _SkoptGenerator(LearningGenerator[_Belief]):
    """The first ten of a study are random, as scikit-optimize's are; then the model chooses."""

    takes_goals: ClassVar[bool] = False
    _estimator: ClassVar[str]

    @cached_property
    def _cube(self) -> Cube:
        return Cube(self.space)

    def _next(self) -> tuple[Params, Mapping[str, Any]] | None:
        rng = self.rng()
        belief = self.learned() if len(self.history) >= _N_INITIAL else None
        if belief is not None and (found := self._most_promising(belief, rng)) is not None:
            return found
        unseen = draw_unseen(self.space, self.history, rng)
        return None if unseen is None else (unseen, {"design": "random" if belief else "initial"})

    def _learn(self) -> _Belief | None:
        """Fit the model; None without any success."""
        finished, losses = self.history.losses(self.direction)
        succeeded = [loss for loss in losses if loss is not None]
        if not succeeded:
            return None
        worst = max(succeeded)
        raw = np.array([worst if loss is None else loss for loss in losses])
        unit = float(np.abs(raw).max()) or 1.0
        center = float((raw / unit).mean())
        scale = float((raw / unit).std()) or 1.0
        x, y = self.space.encode(finished), (raw / unit - center) / scale
        parents = [finished[i] for i in np.argsort(y, kind="stable")[:_N_PARENTS]]
        return _Belief(parents, x, y, unit, center, scale, self._fitted(x, y))

    def _fitted(self, x: np.ndarray, y: np.ndarray) -> Any:
        dimensions = [(0.0, 1.0)] * x.shape[1]
        model = cook_estimator(self._estimator, space=dimensions, random_state=self.seed % 2**32)
        with warnings.catch_warnings():  # as its Optimizer does; few points often settle on a bound
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(x, y)

    def _lied(self, model: Any, x: np.ndarray, y: np.ndarray) -> Any:  # noqa: ARG002 - for overrides
        """The model fitted to finished points, with pending ones among its data."""
        return self._fitted(x, y)

    def _most_promising(
        self, belief: _Belief, rng: np.random.Generator
    ) -> tuple[Params, Mapping[str, Any]] | None:
        model, best = belief.model, float(belief.y.min())
        if pending := self.history.pending():
            x = np.vstack([belief.x, self.space.encode(pending)])
            model = self._lied(belief.model, x, np.concatenate([belief.y, np.full(len(pending), best)]))
        if self._listed is not None:
            candidates = self._unseen(self._listed)
            gains = self._gains(model, best, candidates)
        else:
            drawn = [self.space.sample(rng) for _ in range(_N_DRAWS)]
            candidates = self._unseen([*drawn, *self._near(belief.parents, rng)])
            gains = self._gains(model, best, candidates)
            leaders = [candidates[i] for i in np.argsort(-gains, kind="stable")[:_N_PARENTS]]
            nearer = self._unseen(self._near(leaders, rng))
            candidates, gains = candidates + nearer, np.append(gains, self._gains(model, best, nearer))
        if not candidates:
            return None
        params = candidates[int(np.argmax(gains))]
        return params, self._reason(params, belief, model)

    def _gains(self, model: Any, best: float, candidates: Sequence[Params]) -> np.ndarray:
        """Expected improvement, rounded so that the last bits of the arithmetic decide nothing."""
        if not candidates:
            return np.empty(0)
        gains: np.ndarray = gaussian_ei(self.space.encode(candidates), model, best)
        return gains.round(_DIGITS)

    def _reason(self, params: Params, belief: _Belief, model: Any) -> Mapping[str, Any]:
        """Predicted value and its deviation, in the metric's own unit and direction."""
        (mean,), (deviation,) = model.predict(self.space.encode([params]), return_std=True)
        loss = (float(mean) * belief.scale + belief.center) * belief.unit
        numbers = {
            "mean": loss_of(loss, self.direction),
            "std": float(deviation) * belief.scale * belief.unit,
        }
        return {"design": "model", **{name: number for name, number in numbers.items() if isfinite(number)}}

    def _unseen(self, configs: Iterable[Params]) -> list[Params]:
        return [params for params in configs if config_key(params) not in self.history]

    def _near(self, parents: Sequence[Params], rng: np.random.Generator) -> list[Params]:
        """Valid configurations a normal step, 1 % to 30 % of the range wide, from one of `parents`."""
        names = self._cube.names
        if not parents or not names:
            return []
        points = np.array([self._cube.point(parent) for parent in parents])
        chosen = points[rng.integers(len(points), size=_N_NEAR)]
        moved = rng.random(chosen.shape) < rng.random((_N_NEAR, 1))
        moved[np.arange(_N_NEAR), rng.integers(len(names), size=_N_NEAR)] = True
        widths = np.exp(rng.uniform(log(_WIDTHS[0]), log(_WIDTHS[1]), (_N_NEAR, 1)))
        stepped = chosen + widths * rng.standard_normal(chosen.shape)
        category = [isinstance(self.space.params[name], CategoricalParam) for name in names]
        stepped = np.where(category, rng.random(chosen.shape), stepped)
        return [self._cube.config(point) for point in np.where(moved, stepped, chosen)]

    @cached_property
    def _listed(self) -> list[Params] | None:
        """Every configuration of a space small enough to look at all of them."""
        size = self.space.size()
        return list(self.space.enumerate()) if size is not None and size <= _N_LISTED else None


class SkoptGaussianProcessGenerator(_SkoptGenerator):
    """Its Gaussian process: Matern 5/2 with one length scale per dimension, and noise."""

    method: ClassVar[str] = "skopt-gp"
    _estimator = "GP"

    def _lied(self, model: Any, x: np.ndarray, y: np.ndarray) -> Any:
        # Lies must not sway the hyperparameters. Its fit took the noise out of the kernel, for prediction.
        kernel = model.kernel_.k1 + WhiteKernel(model.noise_)
        return GaussianProcessRegressor(kernel=kernel, optimizer=None, noise="gaussian").fit(x, y)


class SkoptForestGenerator(_SkoptGenerator):
    """Its random forest."""

    method: ClassVar[str] = "skopt-rf"
    _estimator = "RF"


class SkoptExtraTreesGenerator(_SkoptGenerator):
    """Its extremely randomised trees."""

    method: ClassVar[str] = "skopt-et"
    _estimator = "ET"
