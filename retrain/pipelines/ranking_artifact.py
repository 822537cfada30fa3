"""A fitted recommender, and its form on disk: what it learned from, its parameters, and its code.

It is fitted anew when it is loaded, which gives the same since parameters, ratings, items and seed are the
same. The user's own files are kept with it, so that a version does not change when they do.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retrain.pipelines.python import Reference
from retrain.pipelines.scorer import Scorer
from retrain.pipelines.sources import imported_files
from tuner.errors import StorageError
from tuner.experiment import Params, Value
from tuner.strict_json import dumps, loads

__all__ = ["RankingModel", "is_ranking_model", "load_ranking_model", "save_ranking_model"]

MODEL_FILE = "model.json"
_TABLES = ("ratings", "items")


@dataclass
class RankingModel:
    """A scorer with what it learned from.

    Attributes:
        ratings, items: the tables.
        target: the column of `ratings` that holds the rating.
        params: of the scorer.
    """

    scorer: Scorer
    ratings: pd.DataFrame
    items: pd.DataFrame
    target: str
    params: Params
    seed: int
    _learned: Any = field(default=None, repr=False)

    def scores(self, asked: pd.DataFrame, known: pd.DataFrame | None = None) -> np.ndarray:
        """A number for each row of `asked`; `known` are ratings that came in after the fit."""
        if known is not None and len(known):
            both = pd.concat([self.ratings, known], ignore_index=True)
            learned = self.scorer.learn(both, self.items, self.params, self.seed)
            return self.scorer.scores(learned, asked, self.params, self.seed)
        if self._learned is None:
            self._learned = self.scorer.learn(self.ratings, self.items, self.params, self.seed)
        return self.scorer.scores(self._learned, asked, self.params, self.seed)

    def predict_rows(self, rows: Sequence[Mapping[str, Value]]) -> list[float]:
        """A number for each row, which has the columns of the ratings."""
        wanted = self.ratings.drop(columns=self.target)
        asked = pd.DataFrame(list(rows)).reindex(columns=wanted.columns).astype(wanted.dtypes.to_dict())
        return [float(score) for score in self.scores(asked)]


def save_ranking_model(model: RankingModel, folder: Path) -> list[Path]:
    """Write a model into a folder; return the files."""
    reference = model.scorer.reference
    document = {
        "params": dict(model.params),
        "seed": model.seed,
        "target": model.target,
        "module": reference.module,
        "attribute": reference.attribute,
        "columns": {
            name: {column: str(kind) for column, kind in getattr(model, name).dtypes.items()}
            for name in _TABLES
        },
    }
    files = [folder / MODEL_FILE]
    files[0].write_text(dumps(document) + "\n", encoding="utf-8")
    for name in _TABLES:
        files.append(folder / f"{name}.csv")
        getattr(model, name).to_csv(files[-1], index=False)
    for path in _own_files(reference):
        files.append(folder / "code" / path.relative_to(reference.root))
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, files[-1])
    return files


def is_ranking_model(folder: Path) -> bool:
    """Whether `save_ranking_model` wrote this folder."""
    return all((folder / name).is_file() for name in (MODEL_FILE, *(f"{table}.csv" for table in _TABLES)))


def load_ranking_model(folder: Path, root: Path) -> RankingModel:
    """Read what `save_ranking_model` wrote; `root` is the project, for code that does not lie in it.

    Raises:
        StorageError: it is not complete.
        ConfigError: its code cannot be imported.
    """
    try:
        document = loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
        tables = {name: _read_table(folder / f"{name}.csv", document["columns"][name]) for name in _TABLES}
        code = folder / "code"
        reference = Reference(
            (code if code.is_dir() else root).resolve(),
            document["module"],
            document["attribute"],
            "pipeline.scorer",
        )
        params, seed, target = document["params"], document["seed"], document["target"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"The model in {folder} must be complete, but is not: {error}.") from error
    return RankingModel(Scorer(reference), tables["ratings"], tables["items"], target, params, seed)


def _read_table(path: Path, kinds: Mapping[str, str]) -> pd.DataFrame:
    # Floats are read as text and converted by numpy: how exactly pandas itself parses depends on its version.
    read = {name: "object" if kind.startswith("float") else kind for name, kind in kinds.items()}
    frame = pd.read_csv(path, dtype=read, keep_default_na=False, na_values=[""])
    return frame.astype(dict(kinds))


def _own_files(reference: Reference) -> list[Path]:
    """The files of the project that the scorer is made of; none where it is installed elsewhere."""
    file = reference.file
    if file is None or not file.is_relative_to(reference.root):
        return []
    return [file, *imported_files(file, reference.root)]
