# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""The Bayesian generator: a space-filling start, then whatever the surrogate hopes most of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any, ClassVar

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from tuner.experiment import Direction, Observation, Params, Suggestion, loss_of
from tuner.generators.bayesian.acquisition import lower_bounds
from tuner.generators.bayesian.candidates import draws, variations
from tuner.generators.bayesian.gaussian_process import GaussianProcess
from tuner.generators.bayesian.surrogate import Array, Surrogate
from tuner.generators.bayesian.targets import Targets, scaled
from tuner.generators.history import RememberingGenerator
from tuner.generators.random import draw_unseen
from tuner.space import SearchSpace, config_key

__all__ = ["BayesianGenerator"]

_N_INITIAL = 5
_N_SUCCESSES = 2
_N_REMOTE = 16
_N_DRAWS = 100
_N_VARIATIONS = 100
_N_PARENTS = 5
_N_LISTED = 500
_DIGITS = 9


@dataclass(frozen=True)
class _Belief:
    """What is believed at one time: finished configurations, best first, their targets and surrogate."""

    finished: list[Params]
    targets: Targets
    surrogate: Surrogate


class BayesianGenerator(RememberingGenerator):
    """Learns from every finished experiment; pending ones are believed to come out as predicted.

    Failed experiments count as bad ones, so that a crashing region is left. Suggestions are made one at a
    time, each knowing those before it, so that a batch is spread out. The first five of a study fill the
    space.
    """

    method: ClassVar[str] = "bayesian"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        direction: Direction | str = Direction.MINIMIZE,
        baseline: Params | None = None,
        n_asked: int = 0,
    ) -> None:
        super().__init__(space, seed=seed, direction=direction, baseline=baseline, n_asked=n_asked)
        self._belief: _Belief | None = None

    def ask(self, n: int = 1) -> list[Suggestion]:
        # Small matrices are slower on many threads, and how many there are must not sway a result.
        with threadpool_limits(1):
            return super().ask(n)

    def tell(self, finished: Iterable[Observation], pending: Sequence[Params] = ()) -> None:
        super().tell(finished, pending)
        self._belief = None

    def _next(self) -> tuple[Params, Mapping[str, Any]] | None:
        rng = self.rng()
        if len(self.history) >= _N_INITIAL:
            self._belief = self._belief or self._learn()
        found = self._most_promising(self._belief, rng) if self._belief else self._most_remote(rng)
        if found is None and (unseen := draw_unseen(self.space, self.history, rng)) is not None:
            return unseen, {"design": "random"}
        return found

    def _learn(self) -> _Belief | None:
        """Fit the surrogate; None with too few successes to tell good from bad."""
        finished, losses = self.history.losses(self.direction)
        if sum(loss is not None for loss in losses) < _N_SUCCESSES:
            return None
        targets = scaled(losses)
        best_first = [finished[i] for i in np.argsort(targets.y, kind="stable")]
        return _Belief(best_first, targets, GaussianProcess.fit(self.space.encode(finished), targets.y))

    def _most_remote(self, rng: np.random.Generator) -> tuple[Params, Mapping[str, Any]] | None:
        """The draw that is furthest from everything known (Mitchell 1991, best-candidate sampling)."""
        drawn = [
            params for params in draws(self.space, _N_REMOTE, rng) if config_key(params) not in self.history
        ]
        if not drawn:
            return None
        known = self.space.encode(self.history.known())
        here = self.space.encode(drawn)
        nearest = [float(((known - x) ** 2).sum(axis=1).min(initial=np.inf)) for x in here]
        return drawn[int(np.argmax(nearest))], {"design": "initial"}

    def _most_promising(
        self, belief: _Belief, rng: np.random.Generator
    ) -> tuple[Params, Mapping[str, Any]] | None:
        surrogate = belief.surrogate.condition(self.space.encode(self.history.pending()))
        candidates, bounds = self._candidates(belief, surrogate, rng)
        # Rounded, so that the last bits of the arithmetic decide nothing; ties go to the first.
        for index in np.argsort(bounds.round(_DIGITS), kind="stable"):
            params = candidates[index]
            if config_key(params) not in self.history:
                return params, self._reason(params, belief.targets, surrogate, float(bounds[index]))
        return None

    def _candidates(
        self, belief: _Belief, surrogate: Surrogate, rng: np.random.Generator
    ) -> tuple[list[Params], Array]:
        """What to choose from, with bounds: all of a small space, else of a search in two rounds."""
        if self._listed is not None:
            return self._listed, lower_bounds(surrogate, self.space.encode(self._listed))
        near = variations(self.space, belief.finished[:_N_PARENTS], _N_VARIATIONS, rng)
        candidates = draws(self.space, _N_DRAWS, rng) + near
        bounds = lower_bounds(surrogate, self.space.encode(candidates))
        parents = [candidates[i] for i in np.argsort(bounds.round(_DIGITS), kind="stable")[:_N_PARENTS]]
        nearer = variations(self.space, parents, _N_VARIATIONS, rng)
        return candidates + nearer, np.concatenate(
            [bounds, lower_bounds(surrogate, self.space.encode(nearer))]
        )

    def _reason(
        self, params: Params, targets: Targets, surrogate: Surrogate, bound: float
    ) -> Mapping[str, Any]:
        """Predicted value, its deviation, and the value hoped for, in the metric's own unit and direction."""
        (mean,), (deviation,) = surrogate.predict(self.space.encode([params]))
        numbers = {
            "mean": loss_of(targets.center + targets.scale * float(mean), self.direction),
            "std": targets.scale * float(deviation),
            "hoped": loss_of(targets.center + targets.scale * bound, self.direction),
        }
        return {"design": "model", **{name: number for name, number in numbers.items() if isfinite(number)}}

    @cached_property
    def _listed(self) -> list[Params] | None:
        """Every configuration of a space small enough to look at all of them."""
        size = self.space.size()
        return list(self.space.enumerate()) if size is not None and size <= _N_LISTED else None
