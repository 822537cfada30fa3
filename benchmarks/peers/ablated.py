"""Our Bayesian generator with one ingredient taken out, to see what that one earns."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.peers.base import Param
from benchmarks.peers.ours import Ours
from tuner.generators.bayesian.surrogate import Array, Surrogate

__all__ = ["INGREDIENTS", "Ablated"]

_ROOM = "tuner.generators.bayesian."

Patch = tuple[str, str, Any]
"""Module of the generator, attribute, and what stands there instead."""


def _confidence_bound(surrogate: Surrogate, bests: Sequence[float], x: Array) -> Array:
    mean, deviation = surrogate.predict(x)
    return 1.96 * deviation - mean


def _best_measured(surrogate: Surrogate, known: Array) -> list[float]:
    """As if the measurement itself were certain: the least target, which the targets' order puts first."""
    return [float(member.predict(known[:1])[0].min()) for member in surrogate.members]


def _all_equally_sure(results: Sequence[Any]) -> Array:
    return np.ones(len(results))


INGREDIENTS: dict[str, tuple[str, tuple[Patch, ...]]] = {
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
"""By name: what is taken out, what stands there instead, and how."""


class Ablated(Ours):
    """Ours without one of `INGREDIENTS`. It changes its process for good, which no other method shares."""

    def __init__(self, space: Sequence[Param], seed: int, n_experiments: int, without: str) -> None:
        super().__init__(space, seed, n_experiments)
        for module, name, value in INGREDIENTS[without][1]:
            room = import_module(_ROOM + module)
            assert hasattr(room, name), f"{room.__name__} has no {name}"
            setattr(room, name, value)
