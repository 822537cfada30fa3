"""What one section of the configuration declares to be searched: its preset; own parameters, which win."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from retrain.config.defaults import left_unsaid
from retrain.models import MODELS
from retrain.models.choice import MODEL, joined
from tuner.errors import ConfigError
from tuner.experiment import Value
from tuner.space import SearchSpace

if TYPE_CHECKING:
    from retrain.config.schema import PhaseConfig

__all__ = ["Declared", "Declaring", "declared", "with_model"]


@dataclass(frozen=True, slots=True)
class Declaring:
    """What presets hang on.

    Attributes:
        models: the families of the factory; several make a choice among them. Where a section names neither
            preset nor parameters, their default presets stand in.
        regresses: whether defaults are those of regressors.
        epochs: whether experiments are stopped by epochs, so that presets say how many there are.
        features: folders of presets of how features are made: those of the same appetite join a preset.
    """

    models: tuple[str, ...] = ()
    regresses: bool = False
    epochs: bool = False
    features: tuple[str, ...] = ()


class Declared(NamedTuple):
    """What one section declares.

    Attributes:
        params: tables by name.
        constraints: tables.
        defaults: those of the preset, of parameters that own ones replace without naming any.
    """

    params: dict[str, Any]
    constraints: list[Any]
    defaults: dict[str, Value]


def declared(section: "PhaseConfig", of: Declaring) -> Declared:
    """Return what one section declares.

    Raises:
        ConfigError: the preset does not suit the models.
    """
    from tuner.presets import load_preset

    preset = section.preset or ("default" if of.models and not section.params else None)
    params, constraints = _of_models(preset, of)
    if preset is not None:
        appetite = preset.rpartition("/")[2]
        for folder in of.features:
            params |= _tables(load_preset(f"{folder}/{appetite}"))
    own = section.params if len(of.models) < 2 else _with_their_model(section.params, of.models)
    return Declared(params | own, [*constraints, *section.constraints], left_unsaid(own, params))


def with_model(params: dict[str, Any], of: Declaring) -> dict[str, Any]:
    """The same with the parameter that chooses among several models, where nothing has declared it."""
    if len(of.models) < 2 or MODEL in params:
        return params
    return joined({model: ({}, []) for model in of.models})[0] | params


def _of_models(preset: str | None, of: Declaring) -> tuple[dict[str, Any], list[Any]]:
    """The parameters and constraints that a preset stands for, joined where models are several."""
    from tuner.presets import APPETITES

    if preset is None:
        return {}, []
    if len(of.models) > 1:
        if preset not in APPETITES:
            raise ConfigError(
                f"The preset of a choice among models must be one of {', '.join(APPETITES)},"
                f" but is {preset!r}.",
                f'Write preset = "{preset.rpartition("/")[2]}": it stands for that preset of each model.',
            )
        return joined({model: _of_preset(f"{model}/{preset}", of) for model in of.models})
    if preset in APPETITES and not of.models:
        raise ConfigError(
            f"The preset {preset!r} is one of a model, but the pipeline names none.",
            "Name the model, too, such as xgboost/default.",
        )
    return _of_preset(f"{of.models[0]}/{preset}" if preset in APPETITES else preset, of)


def _of_preset(name: str, of: Declaring) -> tuple[dict[str, Any], list[Any]]:
    from tuner.presets import EPOCHS, load_preset

    model, _, appetite = name.partition("/")
    by_epochs = f"{model}_epochs"
    space = load_preset(f"{by_epochs}/{appetite}" if of.epochs and by_epochs in EPOCHS else name)
    params = _tables(space)
    family = MODELS.get(model)
    if of.regresses and family is not None:
        theirs = family.regression_defaults
        params |= {each: params[each] | {"default": theirs[each]} for each in params.keys() & theirs.keys()}
    return params, list(space.to_dict()["constraints"])


def _with_their_model(params: Mapping[str, Any], models: Sequence[str]) -> dict[str, Any]:
    """Make the parameters of one model among several conditional on it, where they do not say so."""
    found = {}
    for name, table in params.items():
        model = next((model for model in models if name.startswith(f"{model}_")), None)
        when = table.get("when") or {}
        needs_it = model is not None and isinstance(when, Mapping) and MODEL not in when
        found[name] = {**table, "when": {MODEL: [model], **when}} if needs_it else table
    return found


def _tables(space: SearchSpace) -> dict[str, Any]:
    """The parameters of a space as the tables of a configuration."""
    specs = space.to_dict()["params"]
    return {spec["name"]: {key: entry for key, entry in spec.items() if key != "name"} for spec in specs}
