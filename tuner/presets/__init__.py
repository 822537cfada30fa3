"""Search spaces as data: one TOML file for each model, or way to make features, and each appetite."""

import tomllib
from pathlib import Path

from tuner.errors import SpaceError, did_you_mean
from tuner.space import SearchSpace

__all__ = ["APPETITES", "EPOCHS", "FEATURES", "PRESETS", "load_preset"]

APPETITES = ("conservative", "default", "aggressive")
"""From few parameters in narrow ranges to many in wide ones."""

FEATURES = ("about", "spans", "text")
"""Folders whose presets say how features are made: they stand beside that of a model, never alone."""

EPOCHS = ("sgd_epochs",)
"""`<model>_epochs`: their presets stand in for the model's where experiments are stopped by epochs."""

_FOLDER = Path(__file__).parent

_NOT_MODELS = (*FEATURES, *EPOCHS)

PRESETS: tuple[str, ...] = tuple(
    f"{model.name}/{appetite}"
    for model in sorted(path for path in _FOLDER.iterdir() if path.is_dir() and path.name not in _NOT_MODELS)
    for appetite in APPETITES
    if (model / f"{appetite}.toml").is_file()
)
"""The presets of models, such as "xgboost/default"."""


def load_preset(name: str) -> SearchSpace:
    """Return the search space of this name: of `PRESETS`, of `FEATURES` or of `EPOCHS`.

    Raises:
        SpaceError: there is none; names the closest.
    """
    if name not in PRESETS and name not in [f"{each}/{a}" for each in _NOT_MODELS for a in APPETITES]:
        raise SpaceError(
            f"Unknown preset {name!r}.{did_you_mean(str(name), PRESETS)}", f"There are: {', '.join(PRESETS)}."
        )
    return SearchSpace.from_dict(tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8")))
