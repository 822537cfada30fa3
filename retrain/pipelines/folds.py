"""A table with its holdout, and the folds of a cross-validation with their features prepared."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrain.models import get_family
from retrain.pipelines.artifact import make_preprocessing
from retrain.pipelines.stopping import stopping_split
from retrain.results import ResultError
from retrain.splits import Rows, Split, make_folds
from retrain.tune_rows import stated
from tuner.experiment import Outcome

if TYPE_CHECKING:
    from retrain.config import SplitsConfig
    from retrain.data import Table

__all__ = ["Fold", "Folds", "LoadedTable", "check_learned", "design_of", "rows_of"]

MAX_CACHE_BYTES = 256 * 2**20
"""Folds are prepared once per worker, not once per experiment, as far as they fit into this."""


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """A table and its holdout.

    Attributes:
        table: all rows.
        train, holdout: row numbers.
        suspicions: what may leak.
        tuned: those of `train` that a search scores its experiments on; None for all.
    """

    table: "Table"
    train: np.ndarray
    holdout: np.ndarray
    suspicions: tuple[str, ...] = ()
    tuned: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold, its features prepared: (n, q) and (m, q)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_valid: np.ndarray
    y_valid: np.ndarray


class Folds:
    """The folds of one seed over the rows to train on. The holdout is not looked at.

    Args:
        data: the table.
        splits: how many folds and repeats.
        seed: all that decides who is in which.
        tuning: take those rows only that a search is scored on.
    """

    def __init__(self, data: LoadedTable, splits: "SplitsConfig", seed: int, *, tuning: bool = False) -> None:
        taken = data.train if data.tuned is None or not tuning else data.tuned
        folds = make_folds(rows_of(data.table).take(taken), splits.folds, splits.repeats, seed)
        self.seed, self.tuning = seed, tuning
        self.splits: list[Split] = [(taken[train], taken[valid]) for train, valid in folds]
        self._table = data.table
        self._kept: dict[tuple[int, tuple[bool, ...]], Fold] = {}
        self._kept_bytes = 0
        self._parted: dict[int, Split] = {}

    def __len__(self) -> int:
        return len(self.splits)

    @property
    def mean_sizes(self) -> tuple[float, float]:
        """Mean number of rows to learn from, and to score."""
        train, valid = zip(*self.splits, strict=True)
        return float(np.mean([len(part) for part in train])), float(np.mean([len(part) for part in valid]))

    def parted(self, step: int) -> Split:
        """Positions in a fold's training rows to learn from, and to stop on, where it stops early."""
        if step not in self._parted:
            rows = rows_of(self._table).take(self.splits[step][0])
            self._parted[step] = stopping_split(rows, self.seed, step)
        return self._parted[step]

    def prepare(self, step: int, family: str) -> Fold:
        """Prepare the features of one fold from its training rows alone, whatever the hyperparameters.

        Args:
            step: number of the fold.
            family: the model family that they are prepared for.
        """
        key = step, get_family(family).preparation
        if key in self._kept:
            return self._kept[key]
        table = self._table
        train, valid = self.splits[step]
        preprocess = make_preprocessing(family, table.columns)
        x_train = preprocess.fit_transform(table.features[train])
        fold = Fold(x_train, table.y[train], preprocess.transform(table.features[valid]), table.y[valid])
        size = fold.x_train.nbytes + fold.x_valid.nbytes
        if self._kept_bytes + size <= MAX_CACHE_BYTES:
            self._kept[key] = fold
            self._kept_bytes += size
        return fold


def rows_of(table: "Table") -> Rows:
    """What the splits look at."""
    return Rows(table.y, table.n_classes, table.groups, table.times)


def design_of(splits: "SplitsConfig", data: LoadedTable) -> str:
    """How a search is scored, for the definition of its metric."""
    by = f" by group {splits.group!r}" if splits.group else ""
    by = f" by time {splits.time!r}" if splits.time else by
    part = stated(None if data.tuned is None else len(data.tuned), len(data.train))
    holdout = f"holdout {splits.holdout:g} of seed {splits.seed}"
    return f"{splits.folds} folds x {splits.repeats}{by}{part}, {holdout}"


def check_learned(y: np.ndarray, table: "Table", fold: int) -> None:
    """Raise ResultError, of outcome NON_FINITE, where what a fold learns from is of one class."""
    if table.n_classes and (y == y[0]).all():
        raise ResultError(
            f"Fold {fold} has one class only, {table.classes[y[0]]!r}, to learn from.",
            outcome=Outcome.NON_FINITE,
        )
