"""What is in production now, by the registry; at first by the target file, or the defaults."""

from dataclasses import dataclass

from retrain.config import Config
from retrain.deploy.target_file import TargetFile
from tuner.errors import ParamsError
from tuner.experiment import Params, Value
from tuner.registry.base import ModelVersion, RegistryReader
from tuner.space import CategoricalParam, SearchSpace

__all__ = ["Deployed", "check_place", "find_deployed", "found_in_place", "inactive_defaults"]


@dataclass(frozen=True, slots=True)
class Deployed:
    """The hyperparameters in production.

    Attributes:
        params: active parameters, by name.
        version: the active version; None before the first deployment.
        source: where they come from: "version", "target" or "defaults".
    """

    params: Params
    version: ModelVersion | None
    source: str


def find_deployed(config: Config, registry: RegistryReader, space: SearchSpace) -> Deployed:
    """Return what is deployed: the active version, else what the target file holds, else the defaults.

    Of a configuration that holds some of it, only the rest, which a phase completes by its defaults.

    Raises:
        ConfigError: the target file cannot be read, or lies where it must not.
    """
    active = registry.find_active(config.name)
    if active is not None:
        own = {name: value for name, value in active.params.items() if name not in config.held}
        return Deployed(own if config.phase is None else _completed(own, space), active, "version")
    return found_in_place(config, space)


def found_in_place(config: Config, space: SearchSpace) -> Deployed:
    """Return what is in production before the first deployment: what the target file holds, or the defaults.

    Raises:
        ConfigError: the target file cannot be read, or lies where it must not.
    """
    target = TargetFile.of(config)
    held = None if target is None else _held(target, target.read(), space)
    if held is not None:
        return Deployed(held, None, "target")
    return Deployed(space.defaults(), None, "defaults")


def check_place(config: Config, space: SearchSpace, params: Params) -> None:
    """Find out, before anything is made or measured, whether the target file can hold these values.

    Raises:
        ConfigError: it cannot be read, or has no place for one of them.
    """
    target = TargetFile.of(config)
    if target is not None:
        target.rendered(target.read(), params, inactive_defaults(space, params))


def inactive_defaults(space: SearchSpace, params: Params) -> dict[str, Value]:
    """The defaults of the parameters that are not active in `params`."""
    return {name: param.default for name, param in space.params.items() if name not in params}


def _completed(params: Params, space: SearchSpace) -> Params:
    try:
        return space.complete(params)
    except ParamsError:  # outside the space; in production all the same
        return params


def _held(target: TargetFile, data: bytes | None, space: SearchSpace) -> dict[str, Value] | None:
    """The configuration that the file holds, or None where it lacks an active parameter.

    Values outside the space are returned as they are: they are in production all the same.
    """
    if data is None:
        return None
    found = target.values(data, space.names)
    if not target.format.has_null:
        for name, param in space.params.items():
            if isinstance(param, CategoricalParam) and None in param.choices:
                found.setdefault(name, None)
    held = space.active(found)
    try:
        whole = space.complete(held)
    except ParamsError:
        whole, given = space.repair(held), held
    else:
        given = whole
    return given if all(name in held for name in whole) else None
