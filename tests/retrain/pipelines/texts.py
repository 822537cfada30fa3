"""Texts made from a seed, and projects on them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retrain.pipelines import load_pipeline
from retrain.pipelines.text import TextPipeline
from tests.retrain.projects import tabular

WORDS = (
    "pain",
    "fever",
    "cough",
    "rash",
    "nausea",
    "chills",
    "heart",
    "lung",
    "knee",
    "left",
    "right",
    "mild",
)


def text_frame(n: int = 90, seed: int = 0, n_classes: int = 2) -> pd.DataFrame:
    """Documents of three sentences; the first word says the class, most of the time."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, size=n)
    said = np.where(rng.random(n) < 0.1, rng.integers(0, n_classes, size=n), y)
    rest = [" ".join(rng.choice(WORDS, size=9)) for _ in range(n)]
    return pd.DataFrame(
        {
            "text": [
                f"{('Denies', 'Reports', 'Perhaps')[k]} {words}." for k, words in zip(said, rest, strict=True)
            ],
            "doc": [f"d{i // 3:03}" for i in range(n)],
            "site": [("north", "south")[i % 2] for i in range(n)],
            "label": [("absent", "present", "unclear")[k] for k in y],
        }
    )


def text_project(
    folder: Path, frame: pd.DataFrame | None = None, rest: str | None = None, **pipeline: Any
) -> TextPipeline:
    """A text pipeline on a frame; keyword arguments replace keys of [pipeline]."""
    frame = text_frame() if frame is None else frame
    frame.to_csv(folder / "texts.csv", index=False)
    keys: dict[str, Any] = {
        "kind": "text",
        "model": "logistic_regression",
        "data": "texts.csv",
        "text": "text",
        "target": "label",
        "metric": "f1_macro",
        **pipeline,
    }
    design = "[splits]\ngroup = 'doc'\nfolds = 3\nholdout = 0.2\n" if rest is None else rest
    loaded = load_pipeline(tabular(folder, rest=design, **keys))
    assert isinstance(loaded, TextPipeline)
    return loaded
