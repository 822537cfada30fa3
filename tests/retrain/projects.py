"""Small projects on disk: a configuration, and data made from a seed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retrain.config import Config, load_config

TABULAR = {
    "kind": "tabular",
    "model": "random_forest",
    "data": "data.csv",
    "target": "y",
    "metric": "roc_auc",
}
SPACE = "[space.params]\nx = { type = 'float', low = 0.0, high = 1.0 }\n"


def config_in(folder: Path, text: str, **overrides: Any) -> Config:
    """Write `text` as retrain.toml into `folder` and load it, with no environment."""
    (folder / "retrain.toml").write_text(text, encoding="utf-8")
    return load_config(folder, overrides, environ={})


def tabular(folder: Path, overrides: dict[str, Any] | None = None, rest: str = "", **pipeline: Any) -> Config:
    """A tabular project; keyword arguments replace keys of [pipeline], None takes one out."""
    keys = {**TABULAR, **pipeline}
    lines = [f"{key} = {_toml(value)}" for key, value in keys.items() if value is not None]
    (folder / "retrain.toml").write_text("[pipeline]\n" + "\n".join(lines) + "\n" + rest, encoding="utf-8")
    return load_config(folder, overrides or {}, environ={})


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


def mixed_frame(n: int = 120, seed: int = 0, n_classes: int = 2) -> pd.DataFrame:
    """Numbers with gaps, a category, a boolean, groups, days, and a target that depends on the first two."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(size=n)
    colour = rng.choice(["red", "green", "blue"], size=n)
    signal = a + (colour == "red") + 0.3 * rng.normal(size=n)
    edges = np.quantile(signal, np.linspace(0, 1, n_classes + 1)[1:-1])
    return pd.DataFrame(
        {
            "a": np.where(rng.random(n) < 0.1, np.nan, a),
            "b": b,
            "colour": colour,
            "flag": rng.random(n) < 0.5,
            "site": rng.integers(0, 12, size=n),
            "day": pd.date_range("2026-01-01", periods=n).strftime("%Y-%m-%d"),
            "y": np.searchsorted(edges, signal),
        }
    )
