"""A fitted model of texts with all that it needs to predict, and the folder it is stored in.

schema.json      format, family, task, name of the column, classes
features.json    what was learned of the texts: sequences and their weights
model.ubj        the model itself (model.skops where it is scikit-learn's)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from retrain.metrics import Predictions
from retrain.models import family_module
from retrain.pipelines.artifact import SCHEMA_FILE, predict, read_json
from retrain.pipelines.tfidf import Features
from tuner.errors import DataError, StorageError
from tuner.experiment import Value

__all__ = ["TextModel", "load_text_model", "save_text_model"]

FORMAT = 1
FEATURES_FILE = "features.json"


@dataclass(frozen=True, slots=True)
class TextModel:
    """A fitted model of texts.

    Attributes:
        family: name of the model family.
        task: "binary", "multiclass" or "regression".
        text: name of the column of texts.
        classes: the target's values by code.
        features: learned from the same rows as the model.
        estimator: takes (n, q).
        fitted_classes: the codes of the classes it has seen, ascending; None for a regression.
        fit: how it was fitted, JSON-ready; empty where it was read from files.
    """

    family: str
    task: str
    text: str
    classes: tuple[Any, ...]
    features: Features
    estimator: Any
    fitted_classes: np.ndarray | None
    fit: Mapping[str, Any] = field(default_factory=dict)

    def predictions(self, texts: Sequence[str] | np.ndarray) -> Predictions:
        """Predict for (n,) texts."""
        return predict(self.estimator, self.features.transform(texts), self.fitted_classes, len(self.classes))

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Predict for texts: (n,) values of the target."""
        labels = self.predictions(texts).labels
        return np.asarray(self.classes)[labels] if self.classes else labels

    def predict_rows(self, rows: Sequence[Mapping[str, Value]]) -> list[Any]:
        """Predict for rows with a text: numbers, or for each row its label and its probabilities.

        Raises:
            DataError: a row has no text.
        """
        for row in rows:
            if not isinstance(row.get(self.text), str):
                raise DataError(
                    f"Each row must have a text {self.text!r}, but one has {row.get(self.text)!r}.",
                    "Give rows with the column that the model was trained on.",
                )
        found = self.predictions([str(row[self.text]) for row in rows])
        if not self.classes:
            return list(found.labels.tolist())
        labels = [self.classes[code] for code in found.labels]
        if found.probabilities is None:
            return labels
        return [[label, *p] for label, p in zip(labels, found.probabilities.tolist(), strict=True)]


def save_text_model(model: TextModel, folder: Path) -> Sequence[Path]:
    """Write a model into an existing folder and return the files."""
    schema = {
        "format": FORMAT,
        "family": model.family,
        "task": model.task,
        "text": model.text,
        "classes": list(model.classes),
        "fitted_classes": None if model.fitted_classes is None else model.fitted_classes.tolist(),
    }
    files = {SCHEMA_FILE: schema, FEATURES_FILE: {"format": FORMAT, **model.features.to_dict()}}
    for name, document in files.items():
        text = json.dumps(document, ensure_ascii=False, indent=1 if name == SCHEMA_FILE else None)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    return [*(folder / name for name in files), family_module(model.family).save(model.estimator, folder)]


def load_text_model(folder: Path) -> TextModel:
    """Read what `save_text_model` wrote. In the folder of a version, its hashes are checked before.

    Raises:
        StorageError: a file is missing, damaged, changed since it was deployed, of a newer format, or holds
            types that are not trusted.
    """
    from retrain.models.sealed import check_sealed

    check_sealed(folder)
    schema = read_json(folder / SCHEMA_FILE, FORMAT)
    document = read_json(folder / FEATURES_FILE, FORMAT)
    try:
        features = Features.from_dict(document)
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"The model file {str(folder / FEATURES_FILE)!r} cannot be read: {error}."
        ) from None
    family, task, fitted = schema["family"], schema["task"], schema["fitted_classes"]
    return TextModel(
        family,
        task,
        schema["text"],
        tuple(schema["classes"]),
        features,
        family_module(family).load(folder, task),
        None if fitted is None else np.asarray(fitted),
    )
