"""The user's code without the values that a deployment writes into it: those are no change of the code."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.errors import RetrainError

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["without_constants"]


def without_constants(config: "Config", names: Collection[str]) -> Mapping[Path, bytes]:
    """The deploy target, where it is a Python module, with nothing in the place of its hyperparameters.

    Empty where there is no such file, or where it holds none that `--apply-hp` could write.

    Args:
        config: names the target.
        names: the hyperparameters that every experiment is given, so that their constants decide nothing.
    """
    from retrain.deploy.target_file import TargetFile
    from retrain.deploy.target_python import PythonTarget

    try:
        target = TargetFile.of(config)
        if target is None or not isinstance(target.format, PythonTarget):
            return {}
        data = target.read()
        if data is None:
            return {}
        text = target.format.decode(data)
        slots = target.format.slots(text, names).values()
    except RetrainError:
        return {}
    for slot in sorted(slots, key=lambda slot: slot.start, reverse=True):
        text = text[: slot.start] + text[slot.end :]
    return {(config.root / target.name).resolve(): text.encode()}
