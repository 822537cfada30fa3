"""Ray Tune's domains, and its `grid_search`.

The upper bound of `randint` and `lograndint` is left out; that of the quantized ones is included, unless
their q is 1. Quantized domains hold the multiples of q between their bounds.
"""

from collections.abc import Mapping
from typing import Any

from tuner.errors import SpaceError
from tuner.space.foreign.steps import below_excluded, is_one_of, multiples
from tuner.space.params import CategoricalParam, FloatParam, IntParam, Param
from tuner.space.values import brief

__all__ = ["is_grid_search", "param_of", "recognises"]


def recognises(spec: object) -> bool:
    """Whether it is a domain of Ray Tune's."""
    return is_one_of(spec, "ray", "Domain")


def is_grid_search(spec: object) -> bool:
    """Whether it is what `tune.grid_search` returns: a dictionary of this one key."""
    return isinstance(spec, Mapping) and set(spec) == {"grid_search"}


def param_of(name: str, spec: Any) -> Param:
    """Return the parameter that a domain stands for.

    Raises:
        SpaceError: it is drawn by a function or a normal distribution, or its values cannot be stored.
    """
    if is_one_of(spec, "ray", "Categorical"):
        return CategoricalParam(name, spec.categories)
    if not is_one_of(spec, "ray", "Float", "Integer"):
        raise SpaceError(
            f"The values of {name!r} must be known in advance, but tune.sample_from calls a function.",
            "Give a range or choices; `when` says for which values of another parameter they exist.",
        )
    sampler, step = spec.get_sampler(), None
    if is_one_of(sampler, "ray", "Quantized"):
        sampler, step = sampler.get_sampler(), sampler.q
    if is_one_of(sampler, "ray", "Normal"):
        raise SpaceError(
            f"{name!r} must have bounds, but tune.randn draws from all numbers.",
            "Say how far to search, such as tune.uniform(mean - 3 * sd, mean + 3 * sd).",
        )
    if not is_one_of(sampler, "ray", "Uniform", "LogUniform"):
        raise SpaceError(f"{name!r} must be drawn uniformly, in log or not, but got {brief(sampler)}.")
    log = is_one_of(sampler, "ray", "LogUniform")
    low, high = spec.lower, spec.upper
    if is_one_of(spec, "ray", "Integer"):
        return _integer(name, low, high, step, log=log)
    if step is not None:
        low, high = multiples(name, low, high, step)
    return FloatParam(name, low, high, log=log, step=step)


def _integer(name: str, low: Any, high: Any, step: Any, *, log: bool) -> IntParam:
    if step is None or step == 1:
        return IntParam(name, low, below_excluded(name, low, high), log=log)
    first, last = multiples(name, low, high, step)
    return IntParam(name, first, last, log=log, step=step)
