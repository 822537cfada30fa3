"""Optuna's distributions: FloatDistribution, IntDistribution, CategoricalDistribution.

Both bounds are included, as ours are. The deprecated classes of Optuna 2 derive from these three.
"""

from typing import Any

from tuner.space.foreign.steps import is_one_of
from tuner.space.params import CategoricalParam, FloatParam, IntParam, Param

__all__ = ["param_of", "recognises"]


def recognises(spec: object) -> bool:
    """Whether it is a distribution of Optuna's."""
    return is_one_of(spec, "optuna", "BaseDistribution")


def param_of(name: str, spec: Any) -> Param:
    """Return the parameter that a distribution stands for.

    Raises:
        SpaceError: its choices cannot be stored, or its name cannot be.
    """
    if is_one_of(spec, "optuna", "CategoricalDistribution"):
        return CategoricalParam(name, spec.choices)
    if is_one_of(spec, "optuna", "IntDistribution"):
        return IntParam(name, spec.low, spec.high, log=spec.log, step=spec.step)
    return FloatParam(name, spec.low, spec.high, log=spec.log, step=spec.step)
