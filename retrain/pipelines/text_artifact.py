"""A fitted model of texts with all that it needs to predict, and the folder it is stored in.

schema.json      format, family, task, name of the column, classes
features.json    what was learned of the texts: sequences and their weights
model.ubj        the model itself (model.skops where it is scikit-learn's)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.metrics import Predictions
from retrain.models import family_module
from retrain.pipelines.artifact import SCHEMA_FILE, predict, read_json
from retrain.pipelines.tfidf import Features
from retrain.places import mark
from tuner.errors import DataError, StorageError
from tuner.experiment import Value

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "TextModel",
    "load_text_model",
    "read_features",
    "save_text_model",
    "texts_of",
    "write_features",
    "write_json",
]

FORMAT = 1
FEATURES_FILE = "features.json"


@dataclass(frozen=True, slots=True)
class TextModel:
    """A fitted model of texts.

    Attributes:
        family: name of the model family.
        task: "binary", "multiclass" or "regression".
        text: name of the column of texts.
        about: names of the columns of the place that is asked about; none where none is.
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
    about: tuple[str, ...] = ()

    def predictions(self, texts: Sequence[str] | np.ndarray) -> Predictions:
        """Predict for (n,) texts, in which the place that is asked about is marked."""
        prepared = self.features.transform(texts) if len(texts) else np.empty((0, 0))
        return predict(self.estimator, prepared, self.fitted_classes, len(self.classes))

    def predict(self, texts: "Sequence[str] | pd.DataFrame") -> np.ndarray:
        """Predict for texts, or for a frame with the column of texts: (n,) values of the target.

        Where a place is asked about, a frame has its columns, too; in texts alone no place is marked.

        Raises:
            DataError: the frame lacks one of these columns, or a row has no text.
        """
        import pandas as pd

        if isinstance(texts, pd.DataFrame):
            columns = [self.text, *self.about]
            absent = [name for name in columns if name not in texts.columns]
            if absent:
                raise DataError(
                    f"The rows must have the columns {', '.join(map(repr, absent))}, but lack them.",
                    "Give rows with the columns that the model was trained on"
                    + (", those of places empty where none is known." if self.about else "."),
                )
            given: Any = texts[columns].to_dict("records")
            texts = texts_of(given, self.text, self.about)
        labels = self.predictions(texts).labels
        return np.asarray(self.classes)[labels] if self.classes else labels

    def predict_rows(self, rows: Sequence[Mapping[str, Value]]) -> list[Any]:
        """Predict for rows with a text: numbers, or for each row its label and its probabilities.

        Raises:
            DataError: a row has no text.
        """
        found = self.predictions(texts_of(rows, self.text, self.about))
        if not self.classes:
            return list(found.labels.tolist())
        labels = [self.classes[code] for code in found.labels]
        if found.probabilities is None:
            return labels
        return [[label, *p] for label, p in zip(labels, found.probabilities.tolist(), strict=True)]


def texts_of(rows: Sequence[Mapping[str, Value]], text: str, about: Sequence[str] = ()) -> list[str]:
    """The texts of rows of plain values, with the place marked that is asked about.

    Raises:
        DataError: a row has no text, or a place that is not in it.
    """
    for row in rows:
        if not isinstance(row.get(text), str):
            raise DataError(
                f"Each row must have a text {text!r}, but one has {row.get(text)!r}.",
                "Give rows with the column that the model was trained on.",
            )
    if not about:
        return [str(row[text]) for row in rows]
    return [mark(str(row[text]), *_place(row, text, about)) for row in rows]


def _place(row: Mapping[str, Value], text: str, about: Sequence[str]) -> tuple[int, int]:
    start, end = (-1.0 if row.get(name) in (None, "") else row[name] for name in about)
    if isinstance(start, int | float) and isinstance(end, int | float):
        start, end = (-1 if each != each else each for each in (start, end))  # NaN is empty, too
        is_inside = 0 <= start <= end <= len(str(row[text])) and start % 1 == end % 1 == 0
        if is_inside or start == end == -1:
            return int(start), int(end)
    raise DataError(
        f"The place that is asked about must lie within its text, but {about[0]} = {start!r} and"
        f" {about[1]} = {end!r} in {row[text]!r}.",
        "Count characters from 0, the end being the one after the last; leave both out where it is unknown.",
    )


def save_text_model(model: TextModel, folder: Path) -> Sequence[Path]:
    """Write a model into an existing folder and return the files."""
    schema = {
        "format": FORMAT,
        "family": model.family,
        "task": model.task,
        "text": model.text,
        "about": list(model.about),
        "classes": list(model.classes),
        "fitted_classes": None if model.fitted_classes is None else model.fitted_classes.tolist(),
    }
    return [
        write_json(folder / SCHEMA_FILE, schema),
        write_features(folder, model.features),
        family_module(model.family).save(model.estimator, folder),
    ]


def write_json(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a small document for people to read, too."""
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def write_features(folder: Path, features: Features) -> Path:
    """Write what was learned of texts into a folder."""
    text = json.dumps({"format": FORMAT, **features.to_dict()}, ensure_ascii=False)
    (folder / FEATURES_FILE).write_text(text + "\n", encoding="utf-8")
    return folder / FEATURES_FILE


def read_features(folder: Path) -> Features:
    """Read what `write_features` wrote.

    Raises:
        StorageError: the file is missing, damaged or of a newer format.
    """
    path = folder / FEATURES_FILE
    document = read_json(path, FORMAT)
    try:
        return Features.from_dict(document)
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"The model file {str(path)!r} cannot be read: {error}.") from None


def load_text_model(folder: Path) -> TextModel:
    """Read what `save_text_model` wrote. In the folder of a version, its hashes are checked before.

    Raises:
        StorageError: a file is missing, damaged, changed since it was deployed, of a newer format, or holds
            types that are not trusted.
    """
    from retrain.models.sealed import check_sealed

    check_sealed(folder)
    schema = read_json(folder / SCHEMA_FILE, FORMAT)
    features = read_features(folder)
    family, task, fitted = schema["family"], schema["task"], schema["fitted_classes"]
    return TextModel(
        family,
        task,
        schema["text"],
        tuple(schema["classes"]),
        features,
        family_module(family).load(folder, task),
        None if fitted is None else np.asarray(fitted),
        about=tuple(schema.get("about", ())),
    )
