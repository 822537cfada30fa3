"""What follows `--apply-hp`: JSON, `@file`, `-`, an experiment's id, or `best`."""

import re
from dataclasses import dataclass, replace
from typing import BinaryIO

from retrain.best import Best, find_named, get_best
from retrain.config import Config
from retrain.deploy.deployed import find_deployed
from retrain.typed_json import MAX_BYTES, read_typed
from tuner import strict_json
from tuner.errors import GateError, ParamsError, UsageError
from tuner.experiment import Experiment, State, Value
from tuner.registry.base import RegistryReader
from tuner.space import SearchSpace

__all__ = ["ParamsInput", "parse_params_input"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class ParamsInput:
    """A valid, complete configuration.

    Attributes:
        params: by name.
        experiment: public id of the experiment it comes from; None for JSON.
        best: what `best` stood for, where that was typed.
    """

    params: dict[str, Value]
    experiment: str | None
    best: Best | None = None


def parse_params_input(
    text: str, config: Config, registry: RegistryReader, space: SearchSpace, *, stdin: BinaryIO | None = None
) -> ParamsInput:
    """Turn what the user typed into a configuration.

    JSON may be partial: it changes what it names, and everything else stays as deployed.

    Args:
        text: what was typed.
        config: names the study and what is deployed.
        registry: holds experiments and versions.
        space: what the configuration must be in.
        stdin: read for `-`; the process's own when not given.

    Raises:
        UsageError: no strict JSON, or too large; says where.
        ParamsError: no object, or not in the space; lists every fault.
        NotFoundError: no such experiment, several of the study, or none finished yet.
        GateError: the experiment did not complete.
    """
    typed, text = text, text.strip()
    if text == "best":
        best = get_best(registry, registry.find_study(config.study_name), config.study_name)
        return replace(_from_experiment(best.experiment, space), best=best)
    if _ID.fullmatch(text) and not _is_json(text):
        return _from_experiment(find_named(registry, config.study_name, text), space)
    return _from_json(*read_typed(typed, "--apply-hp", stdin=stdin), config, registry, space)


def _from_experiment(experiment: Experiment, space: SearchSpace) -> ParamsInput:
    if experiment.state is not State.COMPLETE:
        raise GateError(
            f"Only a complete experiment can be applied, but {experiment.public_id} is {experiment.state}.",
            "Choose another one (orchestrator ls), or give its parameters as JSON.",
        )
    return ParamsInput(space.complete(experiment.params), experiment.public_id)


def _from_json(
    text: str | bytes, source: str, config: Config, registry: RegistryReader, space: SearchSpace
) -> ParamsInput:
    if not text.strip():
        raise ParamsError(
            f"Hyperparameters must be a JSON object, but {source} is empty.",
            "retrain --apply-hp best --dry-run",
        )
    document = strict_json.loads(text, max_bytes=MAX_BYTES)
    if not isinstance(document, dict):
        raise ParamsError(
            f"Hyperparameters must be a JSON object such as {_example(space)}, but {source} holds"
            f" {'null' if document is None else 'a ' + type(document).__name__}.",
            "Name each hyperparameter with its value, in braces.",
        )
    base = find_deployed(config, registry, space).params
    return ParamsInput(space.complete(document, base=base), None)


def _example(space: SearchSpace) -> str:
    name, value = next(iter(space.defaults().items()))
    return strict_json.dumps({name: value})


def _is_json(text: str) -> bool:
    try:
        strict_json.loads(text, max_bytes=MAX_BYTES)
    except UsageError:
        return False
    return True
