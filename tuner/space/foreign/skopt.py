"""scikit-optimize's dimensions (Real, Integer, Categorical), and its shorthand for them in tuples.

Both bounds are included, as ours are. The base of a logarithm makes no difference to what is drawn.
Probabilities of categories are left out: a search learns which ones pay.
"""

from collections.abc import Sequence
from typing import Any

from tuner.errors import SpaceError, did_you_mean
from tuner.space.foreign.steps import is_one_of
from tuner.space.params import CategoricalParam, FloatParam, IntParam, Param
from tuner.space.values import brief, is_number, plain

__all__ = ["named", "param_of", "param_of_tuple", "recognises"]

_PRIORS = ("uniform", "log-uniform")


def recognises(spec: object) -> bool:
    """Whether it is a dimension of scikit-optimize's."""
    return is_one_of(spec, "skopt", "Dimension")


def param_of(name: str, spec: Any) -> Param:
    """Return the parameter that a dimension stands for.

    Raises:
        SpaceError: its categories or its name cannot be stored.
    """
    if is_one_of(spec, "skopt", "Categorical"):
        return CategoricalParam(name, spec.categories)
    number = IntParam if is_one_of(spec, "skopt", "Integer") else FloatParam
    return number(name, spec.low, spec.high, log=spec.prior == "log-uniform")


def named(spec: Any) -> Param:
    """Return the parameter of a dimension that stands in a list, and so needs a name of its own.

    Raises:
        SpaceError: it has none.
    """
    if spec.name is None:
        raise SpaceError(
            f"A dimension in a list must have a name, but got {brief(spec)}.",
            "Give it a name, as in Real(0.01, 0.3, name='learning_rate'), or pass a dictionary by name.",
        )
    return param_of(spec.name, spec)


def param_of_tuple(name: str, spec: Sequence[Any]) -> Param:
    """Read (low, high), (low, high, prior) or (low, high, prior, base); any other tuple lists choices.

    Two whole numbers make an integer, two other numbers a float.

    Raises:
        SpaceError: a prior that scikit-optimize does not know, or bounds that contradict each other.
    """
    values = [plain(value) for value in spec]
    bounds, rest = values[:2], values[2:]
    is_range = len(bounds) == 2 and all(map(is_number, bounds))
    if not is_range or len(rest) > 2 or (rest and not isinstance(rest[0], str)):
        return CategoricalParam(name, values)
    prior = rest[0] if rest else "uniform"
    if prior not in _PRIORS:
        raise SpaceError(
            f"The prior of {name!r} must be one of {', '.join(_PRIORS)}, but got {prior!r}."
            f"{did_you_mean(prior, _PRIORS)}",
            "Write choices as a list: a tuple that begins with two numbers is a range.",
        )
    number = IntParam if all(isinstance(bound, int) for bound in bounds) else FloatParam
    return number(name, *bounds, log=prior == "log-uniform")
