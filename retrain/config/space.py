"""From `[space]` to a SearchSpace: preset, own parameters (which win), constraints, less what is fixed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retrain.config.declared import Declaring, declared, with_model
from retrain.config.defaults import space_with_defaults
from tuner.errors import ConfigError
from tuner.experiment import Value
from tuner.space import SearchSpace

if TYPE_CHECKING:
    from retrain.config.schema import PhaseConfig

__all__ = ["build_space", "names_of", "settle"]


def build_space(sections: "Sequence[PhaseConfig]", fixed: Mapping[str, Value], of: Declaring) -> SearchSpace:
    """Build the space of one section, or of several joined: of a parameter that two have, the later counts.

    Defaults of a preset that own parameters replace without naming any stay, as far as they fit.

    Args:
        sections: preset, parameters and constraints of each.
        fixed: parameters given to every experiment; they leave the space.
        of: the models that presets are those of.

    Raises:
        ConfigError: nothing is left to search, a parameter is both searched and fixed, a fixed one is of
            another type than its preset declares, or the preset does not suit the models.
        SpaceError: parameters or constraints contradict each other.
    """
    params: dict[str, Any] = {}
    constraints: list[Any] = []
    defaults: dict[str, Value] = {}
    for section in sections:
        both = sorted(set(section.params) & set(fixed))
        if both:
            raise ConfigError(
                f"A parameter is searched or fixed, not both: {', '.join(both)}.",
                "Take it out of [space.params] or of pipeline.fixed.",
            )
        own, also, unsaid = declared(section, of)
        defaults = {name: value for name, value in defaults.items() if name not in own} | unsaid
        params |= own
        constraints += [each for each in also if each not in constraints]
    params = with_model(params, of)
    _check_types(fixed, params)
    params, constraints = settle(params, constraints, fixed)
    if not params:
        raise ConfigError(
            "There is nothing to search: the configuration names no parameters.",
            "Add [space] with a preset, or [space.params].",
        )
    return space_with_defaults(params, constraints, defaults)


def names_of(section: "PhaseConfig", fixed: Mapping[str, Value], of: Declaring) -> tuple[str, ...]:
    """The parameters of one section by name, less what is fixed; arguments as of `build_space`."""
    return tuple(name for name in declared(section, of).params if name not in fixed)


def _check_types(fixed: Mapping[str, Value], params: Mapping[str, Any]) -> None:
    """Refuse a fixed value of another type than its parameter has. Bounds are for the search alone.

    Raises:
        ConfigError: names them.
    """
    kinds = {"float": "a number", "int": "a whole number"}
    wrong = [
        f"{name!r} must be {kinds[kind]}, but is {value!r}"
        for name, value in fixed.items()
        if (kind := params.get(name, {}).get("type")) in kinds and not _is_of(kind, value)
    ]
    if wrong:
        raise ConfigError(
            f"A fixed parameter is of another type: {'; '.join(wrong)}.", "Mend pipeline.fixed."
        )


def _is_of(kind: str, value: Value) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return kind == "float" or float(value).is_integer()


def settle(
    params: Mapping[str, Any], constraints: Sequence[Any], fixed: Mapping[str, Value]
) -> tuple[dict[str, Any], list[Any]]:
    """Take what is fixed out of the tables of a space, and settle all that hangs on it."""
    left, still = dict(params), list(constraints)
    for name, value in fixed.items():
        left.pop(name, None)
        left = _without_parent(left, name, value)
        still = _without_fixed(still, name, value)
    return left, still


def _without_parent(params: Mapping[str, Any], parent: str, value: Value) -> dict[str, Any]:
    """Settle the conditions that hang on a fixed parameter: they hold and go, or the child goes."""
    settled = {}
    for name, spec in params.items():
        when = spec.get("when") or {}
        if parent in when:
            if not _matches(when[parent], value):
                continue
            spec = {
                **spec,
                "when": {other: values for other, values in when.items() if other != parent} or None,
            }
        settled[name] = {key: entry for key, entry in spec.items() if key != "when" or entry is not None}
    return settled


def _without_fixed(constraints: list[Any], name: str, value: Value) -> list[Any]:
    """Settle the forbidden combinations that name a fixed parameter. Sums and orders with one fail."""
    settled = []
    for constraint in constraints:
        forbidden = constraint.get("forbid", {})
        if name not in forbidden:
            settled.append(constraint)
        elif _matches(forbidden[name], value):
            settled.append({"forbid": {key: values for key, values in forbidden.items() if key != name}})
    return settled


def _matches(values: Any, value: Value) -> bool:
    listed = values if isinstance(values, list | tuple) else [values]
    return any(type(one) is type(value) and one == value for one in listed)
