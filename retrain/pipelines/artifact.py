"""A fitted model of a table with all that it needs to predict from raw rows, and the folder it is stored in.

schema.json        format, family, task, columns and their categories, classes
preprocess.skops   the fitted preparation of the features
model.ubj          the model itself (model.skops where it is scikit-learn's)
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.metrics import Predictions
from retrain.models import family_module, get_family
from tuner.errors import StorageError
from tuner.experiment import Value

if TYPE_CHECKING:
    import pandas as pd

    from retrain.data import Columns

__all__ = [
    "TabularModel",
    "converged",
    "fit_estimator",
    "fitted_columns",
    "load_model",
    "load_tabular_model",
    "make_preprocessing",
    "predict",
    "read_json",
    "save_model",
]

FORMAT = 1
SCHEMA_FILE, PREPROCESS_FILE = "schema.json", "preprocess.skops"
MAX_CATEGORIES = 32
"""One-hot columns of one category at most; its rarest values share one. A matter of width, not of skill."""


@dataclass(frozen=True, slots=True)
class TabularModel:
    """A fitted model.

    Attributes:
        family: name of the model family.
        task: "binary", "multiclass" or "regression".
        columns: the features it takes.
        classes: the target's values by code.
        preprocess: fitted on the same rows as the model: (n, p) to (n, q).
        estimator: takes (n, q).
        fitted_classes: the codes of the classes it has seen, ascending; None for a regression.
        fit: how it was fitted, JSON-ready; empty where it was read from files.
    """

    family: str
    task: str
    columns: "Columns"
    classes: tuple[Any, ...]
    preprocess: Any
    estimator: Any
    fitted_classes: np.ndarray | None
    fit: Mapping[str, Any] = field(default_factory=dict)

    def predictions(self, features: np.ndarray) -> Predictions:
        """Predict for encoded rows (n, p)."""
        prepared = self.preprocess.transform(features) if len(features) else features
        return predict(self.estimator, prepared, self.fitted_classes, len(self.classes))

    def predict(self, frame: "pd.DataFrame") -> np.ndarray:
        """Predict for raw rows: (n,) values of the target. Columns may come in any order; others are ignored.

        Raises:
            DataError: a column is missing, or is not what it was.
        """
        labels = self.predictions(self.columns.encode(frame)).labels
        return np.asarray(self.classes)[labels] if self.classes else labels

    def predict_rows(self, rows: Sequence[Mapping[str, Value]]) -> list[Any]:
        """Predict for rows of plain values: numbers, or for each row its label and its probabilities.

        Where the model gives none, its label and, of two classes, what it is ranked by.
        """
        found = self.predictions(self.columns.encode(self.columns.frame(rows)))
        if not self.classes:
            return list(found.labels.tolist())
        labels = [self.classes[code] for code in found.labels]
        if found.probabilities is not None:
            return [[label, *p] for label, p in zip(labels, found.probabilities.tolist(), strict=True)]
        if found.ranking is None:
            return [[label] for label in labels]
        return [[label, by] for label, by in zip(labels, found.ranking.tolist(), strict=True)]

    def predict_proba(self, frame: "pd.DataFrame") -> np.ndarray:
        """Probabilities (n, k) of `classes` for raw rows. Not for a regression, nor of a model without.

        Raises:
            DataError: a column is missing, or is not what it was.
        """
        probabilities = self.predictions(self.columns.encode(frame)).probabilities
        if probabilities is None:
            raise TypeError(f"a {self.family} of a {self.task} task gives no probabilities")
        return probabilities


def make_preprocessing(family: str, columns: "Columns") -> Any:
    """Build the unfitted preparation of the features of `columns` for a model family.

    Numbers: missing ones take the median of the rows it is fitted on, except where the family learns from
    them; scaled, or brought to [0, 1], where it needs that. Categories: a column per value, missing being a
    value of its own.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

    its = get_family(family)
    steps = [] if its.takes_missing else [SimpleImputer(strategy="median", keep_empty_features=True)]
    steps += [StandardScaler()] if its.needs_scaling else []
    steps += [MinMaxScaler(clip=True)] if its.needs_shares else []
    n = len(columns.numbers)
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=False
    )
    numbers = make_pipeline(*steps) if steps else "passthrough"
    parts = [("numbers", numbers, slice(0, n)), ("categories", one_hot, slice(n, len(columns.names)))]
    return ColumnTransformer([part for part in parts if part[2].start < part[2].stop])


def fitted_columns(columns: "Columns", preprocess: Any) -> "Columns":
    """Leave out the values that the fitted preparation puts together with any other rare one."""
    if not columns.categories:
        return columns
    encoder = preprocess.named_transformers_["categories"]
    kept = {}
    for name, known, rare in zip(
        columns.categories, encoder.categories_, encoder.infrequent_categories_, strict=True
    ):
        if rare is not None:
            kept[name] = [int(code) for code in np.setdiff1d(known, rare) if code >= 0]
    return columns.keeping(kept)


def fit_estimator(estimator: Any, prepared: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray | None:
    """Fit on (n, q) and return the class codes that occur, ascending; None for a regression.

    Estimators want codes without gaps, so a class that is absent here is left out of what they see.
    """
    from sklearn.exceptions import ConvergenceWarning

    present, codes = np.unique(y, return_inverse=True) if n_classes else (None, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # see `converged`
        estimator.fit(prepared, codes)
    return present


def converged(estimator: Any) -> bool:
    """Whether a fit ended of itself; False where it was stopped at `max_iter`."""
    n_iter, most = (getattr(estimator, name, None) for name in ("n_iter_", "max_iter"))
    return n_iter is None or most is None or bool(np.max(n_iter) < most)


def _nothing(estimator: Any, present: np.ndarray | None, n_classes: int) -> Predictions:
    """What `predict` says of no rows, which scikit-learn refuses."""
    if present is None:
        return Predictions(np.empty(0))
    labels = np.empty(0, dtype=int)
    if hasattr(estimator, "predict_proba"):
        return Predictions(labels, np.empty((0, n_classes)))
    return Predictions(labels, ranking=np.empty(0) if n_classes == len(present) == 2 else None)


def predict(estimator: Any, prepared: np.ndarray, present: np.ndarray | None, n_classes: int) -> Predictions:
    """Predict for (n, q), an array or a sparse matrix.

    Classes that were absent in the fit have probability 0. A classifier that gives no probabilities has its
    labels, and of two classes its decision function to rank by. Of no rows it says nothing, whatever it is.
    """
    if not prepared.shape[0]:
        return _nothing(estimator, present, n_classes)
    if present is None:
        return Predictions(np.asarray(estimator.predict(prepared), dtype=float).reshape(-1))
    if not hasattr(estimator, "predict_proba"):
        ranks = n_classes == 2 and len(present) == 2
        return Predictions(
            present[estimator.predict(prepared)],
            ranking=np.asarray(estimator.decision_function(prepared), dtype=float) if ranks else None,
        )
    probabilities = np.zeros((prepared.shape[0], n_classes))
    probabilities[:, present] = estimator.predict_proba(prepared)
    return Predictions(probabilities.argmax(axis=1), probabilities)


# ---- files


def save_model(model: TabularModel, folder: Path) -> Sequence[Path]:
    """Write a model into an existing folder and return the files."""
    from retrain.models.store import dump

    schema = {
        "format": FORMAT,
        "family": model.family,
        "task": model.task,
        "columns": model.columns.to_dict(),
        "classes": list(model.classes),
        "fitted_classes": None if model.fitted_classes is None else model.fitted_classes.tolist(),
    }
    path = folder / SCHEMA_FILE
    path.write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    preprocess = dump(model.preprocess, folder / PREPROCESS_FILE)
    return [path, preprocess, family_module(model.family).save(model.estimator, folder)]


def load_model(folder: Path) -> Any:
    """Read a stored model of any ready-made kind: of a table, of texts, of evidence in them, or of a ranking.

    In the folder of a version, its hashes are checked before. Whatever the kind, it has `predict_rows`.

    Raises:
        StorageError: there is none; a file is missing, damaged, changed since it was deployed, of a newer
            format, or holds types that are not trusted; or the model is of a pipeline of the user's own.
        ConfigError: the code of a ranking cannot be imported.
    """
    from retrain.models.sealed import check_sealed
    from retrain.pipelines.evidence_artifact import load_evidence_model
    from retrain.pipelines.ranking_artifact import is_ranking_model, load_ranking_model
    from retrain.pipelines.text_artifact import load_text_model

    check_sealed(folder)
    if not folder.is_dir():
        raise StorageError(
            f"There is no model at {str(folder)!r}: no such folder.",
            "A version that was found, not fitted, has hyperparameters alone; `retrain --force` fits one.",
        )
    if is_ranking_model(folder):
        return load_ranking_model(folder, Path.cwd())
    schema = read_json(folder / SCHEMA_FILE, FORMAT)
    if "heads" in schema:
        return load_evidence_model(folder)
    return load_text_model(folder) if "text" in schema else load_tabular_model(folder)


def load_tabular_model(folder: Path) -> TabularModel:
    """Read what `save_model` wrote. In the folder of a version, its hashes are checked before.

    Raises:
        StorageError: a file is missing, damaged, changed since it was deployed, of a newer format, or holds
            types that are not trusted.
    """
    from retrain.data import Columns
    from retrain.models.sealed import check_sealed
    from retrain.models.store import read

    check_sealed(folder)
    schema = read_json(folder / SCHEMA_FILE, FORMAT)
    family, task, fitted = schema["family"], schema["task"], schema["fitted_classes"]
    return TabularModel(
        family,
        task,
        Columns.from_dict(schema["columns"]),
        tuple(schema["classes"]),
        read(folder / PREPROCESS_FILE, ["numpy.dtype"]),
        family_module(family).load(folder, task),
        None if fitted is None else np.asarray(fitted),
    )


def read_json(path: Path, version: int) -> Mapping[str, Any]:
    """Read a JSON document of a model, of this version of its format.

    Raises:
        StorageError: it is missing, damaged, or of another version.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
        number = document["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"The model file {str(path)!r} cannot be read: {error}.") from None
    if number != version:
        raise StorageError(
            f"The model file {str(path)!r} has format {number!r}, but this version reads {version}."
        )
    return dict(document)
