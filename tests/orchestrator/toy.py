"""The smallest project: one parameter `x`, whose value is the loss."""

from pathlib import Path

__all__ = ["write_toy"]

_CONFIG = """
name = "toy"
[pipeline]
kind = "train.py:objective"
metric = "loss"
direction = "minimize"
[space.params]
x = { type = "float", low = 0.0, high = 1.0, default = 0.5 }
"""


def write_toy(folder: Path) -> None:
    """Write its files into a folder."""
    (folder / "retrain.toml").write_text(_CONFIG)
    (folder / "train.py").write_text("def objective(params):\n    return params['x']\n")
