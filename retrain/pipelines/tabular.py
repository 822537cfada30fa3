"""Tables: any model family of the factory, cross-validated, on one holdout that no search sees."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.metrics import USUAL_METRICS, Metric, Predictions, UndefinedMetricError, get_metric, score
from retrain.models import check_params, get_family, make_model
from retrain.pipeline import Pipeline, Report, Scores
from retrain.pipelines.artifact import (
    TabularModel,
    converged,
    fit_estimator,
    load_model,
    make_preprocessing,
    predict,
    save_model,
)
from retrain.results import ResultError
from retrain.splits import Rows, Split, make_folds, split_holdout, standard_error, why_not_stratified
from tuner.errors import DataError
from tuner.experiment import Direction, Evaluation, Outcome, Params, Provenance

if TYPE_CHECKING:
    from retrain.config import Config
    from retrain.data import Table

__all__ = ["LoadedTable", "TabularPipeline"]

_log = logging.getLogger(__name__)

MAX_CACHE_BYTES = 256 * 2**20
"""Folds are prepared once per worker, not once per experiment, while all of them fit into this."""


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """A table and its holdout: `train` and `holdout` are row numbers."""

    table: "Table"
    train: np.ndarray
    holdout: np.ndarray


@dataclass(frozen=True, slots=True)
class _Fold:
    """One fold, its features prepared: (n, q) and (m, q)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_valid: np.ndarray
    y_valid: np.ndarray


class TabularPipeline(Pipeline):
    """Scores a model family on a table by cross-validation.

    `evaluate` returns the mean over folds with the corrected standard error of `splits.standard_error`. Its
    further metrics are the usual ones of the task, where every fold defines them, `fit_seconds` per fold and,
    where a model stopped before it converged, in how many folds: `n_not_converged`.
    """

    def __init__(self, config: "Config") -> None:
        settings = config.pipeline
        assert settings.model is not None, "the configuration has checked it"
        assert settings.metric is not None, "the configuration has checked it"
        self.name = config.name
        self.space = config.search_space()
        self.metric = settings.metric
        self.direction = Direction(get_metric(settings.metric).direction)
        self._config = config
        self._model = settings.model
        self._fixed = settings.fixed
        check_params(get_family(self._model), [*self.space.names, *self._fixed])
        self._data: LoadedTable | None = None
        self._folds: tuple[int, list[Split]] | None = None
        self._prepared: dict[int, _Fold] = {}

    # ---- data

    def load(self) -> LoadedTable:
        """Read the table, check it, and split off the holdout.

        Raises:
            DataError: the data cannot be trained on; says why and names the column or file.
        """
        from retrain.data import make_table, read_table

        settings, splits = self._config.pipeline, self._config.splits
        frame = read_table(str(settings.data), self._config.root)
        table = make_table(
            frame,
            settings.target or "target",
            get_metric(self.metric),
            drop=settings.drop,
            group=splits.group,
            time=splits.time,
        )
        make_model(self._model, {}, table.task, 0)  # refuses a task that the family cannot learn
        train, holdout = split_holdout(_rows_of(table), splits.holdout, splits.seed)
        self._check_training_rows(_rows_of(table).take(train), table)
        return LoadedTable(table, train, holdout)

    def _check_training_rows(self, rows: Rows, table: "Table") -> None:
        splits = self._config.splits
        make_folds(rows, splits.folds, splits.repeats, seed=0)
        if rows.n_classes and len(np.unique(rows.y)) < 2:
            raise DataError(
                "The rows to train on must hold at least two classes, "
                f"but all are {table.classes[rows.y[0]]!r}.",
                "The split by group or time leaves the others to the holdout: use another one.",
            )
        reason = why_not_stratified(rows, splits.folds)
        if reason:
            _log.warning("%s", reason)

    def use(self, data: object) -> None:
        """Take what `load` returned."""
        if not isinstance(data, LoadedTable):
            raise TypeError(f"expected a LoadedTable, but got {type(data).__name__}")
        self._data, self._folds, self._prepared = data, None, {}

    @property
    def data(self) -> LoadedTable:
        """What `use` was given; loaded here and now where it was not called."""
        if self._data is None:
            self.use(self.load())
        assert self._data is not None
        return self._data

    def provenance(self) -> Provenance:
        """Fingerprint of the table; versions of what scores it; metric, folds and holdout."""
        settings, splits = self._config.pipeline, self._config.splits
        libraries = sorted({"scikit-learn", get_family(self._model).library})
        code = ", ".join(f"{name} {_version(name)}" for name in ("retrain", *libraries))
        fixed = f" with {dict(sorted(self._fixed.items()))}" if self._fixed else ""
        by = (
            f" by group {splits.group!r}"
            if splits.group
            else f" by time {splits.time!r}"
            if splits.time
            else ""
        )
        design = (
            f"{splits.folds} folds x {splits.repeats}{by}, holdout {splits.holdout:g} of seed {splits.seed}"
        )
        return Provenance(
            data=self.data.table.fingerprint,
            code=f"{settings.model}{fixed}; {code}",
            metric=f"{self.metric}, {self.direction.value}; {design}",
        )

    # ---- scoring

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Cross-validate one configuration, reporting the metric fold by fold.

        Raises:
            ResultError: the metric is undefined on a fold (of outcome NON_FINITE).
        """
        start = time.perf_counter()
        metric, table = get_metric(self.metric), self.data.table
        others = [get_metric(name) for name in USUAL_METRICS[table.task] if name != self.metric]
        values: list[float] = []
        further: list[dict[str, float]] = []
        fit_seconds, n_not_converged = 0.0, 0
        folds = self._split(seed)
        for step in range(len(folds)):
            fold = self._prepare(step, folds)
            estimator = make_model(self._model, {**params, **self._fixed}, table.task, seed)
            fit_start = time.perf_counter()
            present = self._fit(estimator, fold, step)
            fit_seconds += time.perf_counter() - fit_start
            n_not_converged += not converged(estimator)
            predictions = predict(estimator, fold.x_valid, present, table.n_classes)
            values.append(_score_fold(metric, fold.y_valid, predictions, table.n_classes, step))
            further.append(_other_scores(others, fold.y_valid, predictions, table.n_classes))
            report(step, {self.metric: values[-1]})
        metrics = _means(further) | {"fit_seconds": fit_seconds / len(folds)}
        if n_not_converged:
            metrics["n_not_converged"] = float(n_not_converged)
        sizes = np.mean([[len(train), len(valid)] for train, valid in folds], axis=0)
        return Evaluation(
            float(np.mean(values)),
            std_error=standard_error(values, sizes[0], sizes[1]),
            metrics=metrics,
            duration_s=time.perf_counter() - start,
        )

    def _split(self, seed: int) -> list[Split]:
        """The folds of a seed, as row numbers of the table; those of the last seed are kept."""
        if self._folds is None or self._folds[0] != seed:
            data, splits = self.data, self._config.splits
            rows = _rows_of(data.table).take(data.train)
            folds = make_folds(rows, splits.folds, splits.repeats, seed)
            self._folds = seed, [(data.train[train], data.train[valid]) for train, valid in folds]
            self._prepared = {}
        return self._folds[1]

    def _prepare(self, step: int, folds: list[Split]) -> _Fold:
        """Prepare the features of one fold from its training rows alone, whatever the hyperparameters."""
        if step in self._prepared:
            return self._prepared[step]
        table = self.data.table
        train, valid = folds[step]
        preprocess = make_preprocessing(self._model, table.columns)
        x_train = preprocess.fit_transform(table.features[train])
        fold = _Fold(x_train, table.y[train], preprocess.transform(table.features[valid]), table.y[valid])
        if (fold.x_train.nbytes + fold.x_valid.nbytes) * len(folds) <= MAX_CACHE_BYTES:
            self._prepared[step] = fold
        return fold

    def _fit(self, estimator: Any, fold: _Fold, step: int) -> np.ndarray | None:
        table = self.data.table
        if table.n_classes and (fold.y_train == fold.y_train[0]).all():
            only = table.classes[fold.y_train[0]]
            raise ResultError(
                f"Fold {step} has one class only, {only!r}, to learn from.", outcome=Outcome.NON_FINITE
            )
        return fit_estimator(estimator, fold.x_train, fold.y_train, table.n_classes)

    # ---- the final model

    @property
    def can_fit(self) -> bool:
        """True."""
        return True

    def fit(self, params: Params, seed: int) -> TabularModel:
        """Fit on all rows but the holdout."""
        data = self.data
        table, features, y = data.table, data.table.features[data.train], data.table.y[data.train]
        preprocess = make_preprocessing(self._model, table.columns)
        estimator = make_model(self._model, {**params, **self._fixed}, table.task, seed)
        present = fit_estimator(estimator, preprocess.fit_transform(features), y, table.n_classes)
        return TabularModel(
            self._model, table.task, table.columns, table.classes, preprocess, estimator, present
        )

    def test(self, model: TabularModel) -> Scores:
        """Score on the holdout: the pipeline's metric and the usual ones, named `test_<metric>`.

        Raises:
            ResultError: the metric is undefined on the holdout.
        """
        data = self.data
        table, truth = data.table, data.table.y[data.holdout]
        predictions = model.predictions(table.features[data.holdout])
        others = [get_metric(name) for name in USUAL_METRICS[table.task] if name != self.metric]
        metrics = {
            self.metric: _score_fold(get_metric(self.metric), truth, predictions, table.n_classes, None)
        }
        metrics |= _other_scores(others, truth, predictions, table.n_classes)
        return Scores({f"test_{name}": value for name, value in metrics.items()}, len(truth))

    def save(self, model: TabularModel, folder: Path) -> Sequence[Path]:
        """Write schema, preparation and model: UBJSON for XGBoost, the format of skops for the rest."""
        return save_model(model, folder)

    def load_model(self, folder: Path) -> TabularModel:
        """Read what `save` wrote."""
        return load_model(folder)


def _rows_of(table: "Table") -> Rows:
    return Rows(table.y, table.n_classes, table.groups, table.times)


def _score_fold(
    metric: Metric, truth: np.ndarray, predictions: Predictions, n_classes: int, step: int | None
) -> float:
    try:
        return score(metric, truth, predictions, n_classes)
    except UndefinedMetricError as error:
        where = "on the holdout" if step is None else f"on fold {step}"
        raise ResultError(f"The metric has no value {where}: {error}.", outcome=Outcome.NON_FINITE) from None


def _other_scores(
    metrics: Sequence[Metric], truth: np.ndarray, predictions: Predictions, n_classes: int
) -> dict[str, float]:
    scores = {}
    for metric in metrics:
        try:
            scores[metric.name] = score(metric, truth, predictions, n_classes)
        except UndefinedMetricError:
            continue  # nobody asked for it
    return scores


def _means(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric that every fold defines."""
    return {
        name: float(np.mean([fold[name] for fold in scores]))
        for name in scores[0]
        if all(name in fold for fold in scores)
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "of a source tree"
