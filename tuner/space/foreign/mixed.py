"""A whole space as people have it: a dictionary by name, nested or not, or a list of what has names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tuner.errors import SpaceError
from tuner.experiment import Value
from tuner.space.documents import param_from_dict
from tuner.space.foreign import optuna, ray, scipy, skopt
from tuner.space.foreign.dialect import is_declaration
from tuner.space.params import CategoricalParam, FloatParam, IntParam, Param
from tuner.space.values import brief, is_array, plain

__all__ = ["params_of"]

_MOST_NESTED = 50
_TOOLS: tuple[Any, ...] = (optuna, ray, skopt, scipy)
_KINDS = (
    "Give a parameter, a dictionary such as {'type': 'float', 'low': 0.01, 'high': 0.3}, a list of choices, "
    "a (low, high) tuple, or an object of Ray Tune, Optuna, scikit-optimize or scipy.stats."
)


def params_of(given: object) -> list[Param]:
    """Return the parameters that a dictionary or a list declares.

    Args:
        given: by name, each as a parameter of ours; a declaration (see `dialect`); a domain of Ray Tune; a
            distribution of Optuna or scipy; a dimension of scikit-optimize or its tuple; a list, array or
            range of choices; or a single value, which is a constant. Dictionaries in it that are none of
            these hold parameters whose names begin with theirs and a dot. Or a list of what has a name.

    Raises:
        SpaceError: something in it declares no parameter; says which.
    """
    if isinstance(given, Mapping):
        return list(_by_name(given, ""))
    dimensions = getattr(given, "dimensions", given)  # a Space of scikit-optimize
    if not isinstance(dimensions, Sequence) or isinstance(dimensions, str):
        raise SpaceError(
            f"A search space must be a dictionary of parameters by name, but got {brief(given)}.",
            _KINDS,
        )
    return [_named(spec) for spec in dimensions]


def _by_name(given: Mapping[Any, Any], prefix: str, depth: int = 1) -> Iterator[Param]:
    if depth > _MOST_NESTED:
        raise SpaceError(
            f"Dictionaries may be nested {_MOST_NESTED} deep, but those of {brief(prefix)} go deeper.",
            "Does one of them contain itself?",
        )
    for key, spec in _without_wrapping(given).items():
        if not isinstance(key, str):
            raise SpaceError(f"The name of a parameter must be a string, but got {brief(key)}.")
        name = prefix + key
        if isinstance(spec, Mapping) and not ray.is_grid_search(spec) and not is_declaration(spec):
            yield from _by_name(spec, f"{name}.", depth + 1)
        else:
            yield _param_of(name, spec)


def _without_wrapping(given: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the parameters of a W&B sweep, or of a group of them, without what stands around."""
    inner = given.get("parameters")
    return inner if isinstance(inner, Mapping) and ("method" in given or len(given) == 1) else given


def _named(spec: object) -> Param:
    if isinstance(spec, FloatParam | IntParam | CategoricalParam):
        return spec
    if skopt.recognises(spec):
        return skopt.named(spec)
    if isinstance(spec, Mapping) and "name" in spec:
        return param_from_dict(spec["name"], {key: value for key, value in spec.items() if key != "name"})
    raise SpaceError(
        f"Every parameter in a list must have a name, but got {brief(spec)}.",
        "Pass a dictionary of parameters by name.",
    )


def _param_of(name: str, spec: Any) -> Param:
    for tool in _TOOLS:
        if tool.recognises(spec):
            found: Param = tool.param_of(name, spec)
            return found
    if isinstance(spec, FloatParam | IntParam | CategoricalParam):
        if spec.name != name:
            raise SpaceError(
                f"A parameter must stand under its own name, but {spec.name!r} stands under {name!r}."
            )
        return spec
    if isinstance(spec, Mapping):
        return (
            CategoricalParam(name, spec["grid_search"])
            if ray.is_grid_search(spec)
            else param_from_dict(name, spec)
        )
    if isinstance(spec, range) and spec:
        low, high = sorted((spec[0], spec[-1]))  # its ends: one that is long has neither length nor least
        return IntParam(name, low, high, step=abs(spec.step) if low < high else 1)
    if isinstance(spec, tuple):
        return skopt.param_of_tuple(name, spec)
    if isinstance(spec, list | range) or (is_array(spec) and spec.ndim):
        return CategoricalParam(name, spec)
    value: Value = plain(spec)
    if value is None or isinstance(value, str | int | float):
        return CategoricalParam(name, [value])
    raise SpaceError(f"{name!r} must be declared in a way that is known, but got {brief(spec)}.", _KINDS)
