"""From `[space]` to a SearchSpace: preset, own parameters (which win), constraints, less what is fixed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.errors import ConfigError
from tuner.experiment import Value
from tuner.space import SearchSpace

if TYPE_CHECKING:
    from retrain.config.schema import PhaseConfig

__all__ = ["build_space", "names_of", "settle"]


def build_space(
    sections: "Sequence[PhaseConfig]",
    fixed: Mapping[str, Value],
    default_preset: str | None,
    preset_defaults: Mapping[str, Value],
    features: str | None = None,
) -> SearchSpace:
    """Build the space of one section, or of several joined: of a parameter that two have, the later counts.

    Args:
        sections: preset, parameters and constraints of each.
        fixed: parameters given to every experiment; they leave the space.
        default_preset: what stands in for a section that names neither preset nor parameters.
        preset_defaults: other defaults than a preset has, where it searches these parameters.
        features: folder of presets of how features are made: that of the same appetite joins a preset.

    Raises:
        ConfigError: nothing is left to search, or a parameter is both searched and fixed.
        SpaceError: parameters or constraints contradict each other.
    """
    params: dict[str, Any] = {}
    constraints: list[Any] = []
    for section in sections:
        both = sorted(set(section.params) & set(fixed))
        if both:
            raise ConfigError(
                f"A parameter is searched or fixed, not both: {', '.join(both)}.",
                "Take it out of [space.params] or of pipeline.fixed.",
            )
        own, also = _declared(section, default_preset, preset_defaults, features)
        params |= own
        constraints += [each for each in also if each not in constraints]
    params, constraints = settle(params, constraints, fixed)
    if not params:
        raise ConfigError(
            "There is nothing to search: the configuration names no parameters.",
            "Add [space] with a preset, or [space.params].",
        )
    return SearchSpace.from_dict({"params": params, "constraints": constraints})


def names_of(
    section: "PhaseConfig", fixed: Mapping[str, Value], default_preset: str | None, features: str | None
) -> tuple[str, ...]:
    """The parameters of one section by name, less what is fixed; arguments as of `build_space`."""
    return tuple(name for name in _declared(section, default_preset, {}, features)[0] if name not in fixed)


def _declared(
    section: "PhaseConfig",
    default_preset: str | None,
    preset_defaults: Mapping[str, Value],
    features: str | None,
) -> tuple[dict[str, Any], list[Any]]:
    """The parameters of one section by name, with those of its preset, and the constraints."""
    from tuner.presets import load_preset

    preset = section.preset or (default_preset if not section.params else None)
    params: dict[str, Any] = {}
    constraints: list[Any] = []
    if preset is not None:
        loaded = load_preset(preset)
        params = _tables(loaded)
        params |= {
            name: params[name] | {"default": preset_defaults[name]}
            for name in params.keys() & preset_defaults
        }
        constraints += loaded.to_dict()["constraints"]
        if features is not None:
            appetite = preset.rpartition("/")[2]
            params |= _tables(load_preset(f"{features}/{appetite}"))
    return params | section.params, [*constraints, *section.constraints]


def _tables(space: SearchSpace) -> dict[str, Any]:
    """The parameters of a space as the tables of a configuration."""
    specs = space.to_dict()["params"]
    return {spec["name"]: {key: entry for key, entry in spec.items() if key != "name"} for spec in specs}


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
