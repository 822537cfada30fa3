"""Our Bayesian generator with one thing changed: an ingredient taken out, or what was tried put in."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.peers.base import Config, Param
from benchmarks.peers.ours import Ours
from tuner.generators.bayesian import BayesianGenerator
from tuner.generators.bayesian.gaussian_process import GaussianProcess, _Member
from tuner.generators.bayesian.noise import NoisePrior
from tuner.generators.bayesian.posterior import Posterior
from tuner.generators.bayesian.surrogate import Array, Surrogate
from tuner.generators.bayesian.targets import scaled

__all__ = ["INGREDIENTS", "KNOWN", "TRIED", "Change", "Changed", "Known"]

_ROOM = "tuner.generators.bayesian."
_N_DRAWS = 8
_predict_each = GaussianProcess.predict_each

Patch = tuple[str, str, Any]
"""Module of the generator, attribute, and what stands there instead."""

Change = tuple[str, tuple[Patch, ...]]
"""What is changed in words, and how."""

KNOWN = "known"
"""The change that needs to know results of the problem before the run."""


def _confidence_bound(surrogate: Surrogate, bests: Sequence[float], x: Array) -> Array:
    mean, deviation = surrogate.predict(x)
    return 1.96 * deviation - mean


def _best_measured(surrogate: Surrogate, known: Array) -> list[float]:
    """As if the measurement itself were certain: the least target, which the targets' order puts first."""
    return [float(member.predict(known[:1])[0].min()) for member in surrogate.members]


def _bolder(process: GaussianProcess, x: Array) -> tuple[Array, Array]:
    mean, deviation = _predict_each(process, x)
    return mean, 0.75 * deviation


INGREDIENTS: dict[str, Change] = {
    "draws": (
        "eight draws of the hyperparameters: their mode alone",
        (("gaussian_process", "_N_MEMBERS", 1),),
    ),
    "improvement": (
        "expected improvement: a lower confidence bound of 1.96 deviations",
        (("generator", "log_expected_improvement", _confidence_bound),),
    ),
    "incumbent": (
        "the least mean of all as the incumbent: that of the best measurement",
        (("generator", "incumbents", _best_measured),),
    ),
    "outliers": (
        "drawing in of bad outliers: losses as they are",
        (("targets", "_N_SPREADS", 1e9),),
    ),
    "dimensions": (
        "length scales that grow with the number of parameters: those of one parameter",
        (("posterior", "_GROWTH", 0.0),),
    ),
    "rounds": (
        "rounds of refinement of the acquisition's maximum: draws and variations of the best alone",
        (("search", "_REACHES", ()),),
    ),
    "branches": (
        "a look into another branch with every fifth suggestion: none",
        (("generator", "_N_ROUND", 10**9),),
    ),
    "filling": (
        "the space-filling start: five random configurations",
        (("generator", "_N_REMOTE", 1),),
    ),
}
"""By name: what is taken out, and what stands there instead."""

TRIED: dict[str, Change] = {
    KNOWN: ("hyperparameters drawn from 300 random results of the same problem, known beforehand", ()),
    "random": (
        "a start of ten random configurations",
        (("generator", "_N_INITIAL", 10), ("generator", "_N_REMOTE", 1)),
    ),
    "remote": (
        "a start each of which is the furthest of 64, not of 16",
        (("generator", "_N_REMOTE", 64),),
    ),
    "bolder": (
        "deviations taken for three quarters of what they are",
        (("gaussian_process", "GaussianProcess.predict_each", _bolder),),
    ),
    "two": ("two draws of the hyperparameters instead of eight", (("gaussian_process", "_N_MEMBERS", 2),)),
    "more": (
        "half as many rows again, and three steps between draws",
        (
            ("search", "_N_DRAWS", 600),
            ("search", "_N_VARIATIONS", 300),
            ("search", "_N_REFINED", 150),
            ("posterior", "_N_BETWEEN", 3),
        ),
    ),
}
"""By name: what was tried instead of what there is, and earned nothing."""


def _put(module: str, path: str, value: Any) -> None:
    """Let `value` stand where the attribute of a module, or of a class in it, does."""
    room = import_module(_ROOM + module)
    *owners, name = path.split(".")
    for owner in owners:
        room = getattr(room, owner)
    assert hasattr(room, name), f"{room.__name__} has no {name}"
    setattr(room, name, value)


class Changed(Ours):
    """Ours with one change of `INGREDIENTS` or `TRIED`.

    It changes its process for good, which no other method shares.
    """

    def __init__(self, space: Sequence[Param], seed: int, n_experiments: int, change: str) -> None:
        super().__init__(space, seed, n_experiments)
        for patch in (INGREDIENTS | TRIED)[change][1]:
            _put(*patch)


class Known(Ours):
    """Ours, but the hyperparameters are not learned: eight draws of what many results say of them.

    Args:
        space, seed, n_experiments: as every peer's.
        results: configurations and their losses; none, and it learns like ours.
    """

    def __init__(
        self,
        space: Sequence[Param],
        seed: int,
        n_experiments: int,
        results: Sequence[tuple[Config, float]] = (),
    ) -> None:
        super().__init__(space, seed, n_experiments)
        if results:
            _put("gaussian_process", "GaussianProcess.fit", self._fit(results))

    def _fit(self, results: Sequence[tuple[Config, float]]) -> Any:
        """What stands in for `GaussianProcess.fit`."""
        ours = BayesianGenerator(self._space)
        params = self._space.params.values()
        owners = [i for i, param in enumerate(params) for _ in range(param.n_dims)]
        targets = scaled([loss for _, loss in results]).y
        rows = ours.encode([self._space.repair(config) for config, _ in results])
        posterior = Posterior(rows, targets, owners, np.ones(len(rows)))
        thetas = posterior.draws(posterior.mode(), _N_DRAWS, np.random.default_rng(0))

        def fit(x: Array, y: Array, owners: Sequence[int], noises: Array, prior: NoisePrior) -> Any:
            return GaussianProcess([_Member.of(theta, owners, x, y, noises, prior) for theta in thetas])

        return staticmethod(fit)
